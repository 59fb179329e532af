//! The way is an implementation of `Migrate`.

use liveswap_state::{Migrate, MigrateError, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World, one_way)]
struct World {
    day: u64,
}

impl Migrate<v1::World> for World {
    fn migrate(old: v1::World) -> Result<Self, MigrateError> {
        Ok(Self { day: u64::from(old.day) + u64::from(old.mana) })
    }
}

fn main() {
    assert_eq!(World::migrate(v1::World { day: 5, mana: 2 }).unwrap().day, 7);
}
