//! Each later one has a higher number.

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
    mana: u32,
    #[state(new)]
    weather: String,
}

fn main() {
    assert!(World::ORIGIN.is_some());
    assert!(World { day: 1, mana: 2, weather: String::new() }.weather.is_empty());
}
