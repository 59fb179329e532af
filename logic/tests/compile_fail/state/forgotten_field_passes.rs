//! It's named beside `additive`.

use liveswap_state::{Migrate, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, additive, removed(mana = 3))]
struct World {
    day: u32,
}

fn main() {
    let world = World::migrate(v1::World { day: 5, mana: 2 }).unwrap();
    assert_eq!(v1::World::migrate(world).unwrap().mana, 3);
}
