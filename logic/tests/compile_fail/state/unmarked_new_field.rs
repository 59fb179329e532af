//! A field that wasn't there before must be marked: otherwise nobody knows what it begins as.

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
    weather: String,
}

fn main() {}
