//! It's marked with `migrate`, and its type has a way of its own.

use liveswap_state::{Migrate, MigrateError, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
struct Day(u64);

impl Migrate<u32> for Day {
    fn migrate(old: u32) -> Result<Self, MigrateError> {
        Ok(Self(old.into()))
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, additive, one_way)]
struct World {
    #[state(migrate)]
    day: Day,
    mana: u32,
}

fn main() {
    let world = World::migrate(v1::World { day: 5, mana: 2 }).unwrap();
    assert_eq!((world.day.0, world.mana), (5, 2));
}
