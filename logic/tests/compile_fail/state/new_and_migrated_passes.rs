//! One of the two is meant.

use liveswap_state::{Migrate, State};

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
    #[state(new)]
    weather: String,
}

fn main() {
    assert_eq!(World::migrate(v1::World { day: 5 }).unwrap().weather, "");
}
