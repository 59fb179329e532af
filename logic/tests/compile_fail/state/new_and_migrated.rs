//! What is new was nothing before, and so has nothing to be migrated from.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, additive)]
struct World {
    day: u32,
    #[state(new, migrate)]
    weather: String,
}

fn main() {}
