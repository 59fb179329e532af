//! A type that says what it came from must have a way from there.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, one_way)]
struct World {
    day: u64,
}

fn main() {}
