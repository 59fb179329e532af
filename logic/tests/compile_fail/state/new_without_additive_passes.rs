//! `additive` looks at it.

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
    let world = World::migrate(v1::World { day: 5 }).unwrap();
    assert_eq!((world.day, world.weather.as_str()), (5, ""));
}
