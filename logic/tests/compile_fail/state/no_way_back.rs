//! Without a way back a rollback is impossible, so that must be said.

use liveswap_state::{Migrate, MigrateError, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct World {
        pub day: u32,
        pub mana: u32,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::World)]
struct World {
    day: u64,
}

impl Migrate<v1::World> for World {
    fn migrate(old: v1::World) -> Result<Self, MigrateError> {
        Ok(Self { day: old.day.into() })
    }
}

fn main() {}
