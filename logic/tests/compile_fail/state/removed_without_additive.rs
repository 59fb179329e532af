//! What is removed is looked at by `additive` only.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, removed(mana))]
struct World {
    day: u32,
}

fn main() {}
