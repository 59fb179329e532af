//! Without a value it is the default.

use liveswap_state::{Migrate, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, additive, removed(mana))]
struct World {
    day: u32,
}

fn main() {
    assert_eq!(v1::World::migrate(World { day: 5 }).unwrap().mana, 0);
}
