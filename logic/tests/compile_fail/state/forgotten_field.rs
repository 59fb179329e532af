//! A field that is gone must be named: otherwise nobody knows what it is when one goes back.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, additive)]
struct World {
    day: u32,
}

fn main() {}
