//! The version tells which of two types came later.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(from = v1::World, additive)]
struct World {
    day: u32,
    mana: u32,
    #[state(new)]
    weather: String,
}

fn main() {
    assert!(World::ORIGIN.is_some());
}
