//! It's marked as new.

use liveswap_state::{Migrate, State};

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
    #[state(new = "sunny".to_owned())]
    weather: String,
}

fn main() {
    assert_eq!(World::migrate(v1::World { day: 5, mana: 2 }).unwrap().weather, "sunny");
}
