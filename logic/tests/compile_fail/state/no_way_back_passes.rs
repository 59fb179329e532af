//! A way back makes an upgrade reversible.

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

impl Migrate<World> for v1::World {
    fn migrate(new: World) -> Result<Self, MigrateError> {
        let day = new.day.try_into().map_err(|_| "there are too many days")?;
        Ok(Self { day, mana: 0 })
    }
}

fn main() {
    let world = World::migrate(v1::World { day: 5, mana: 2 }).unwrap();
    assert_eq!(v1::World::migrate(world).unwrap().day, 5);
    assert!(v1::World::migrate(World { day: u64::MAX }).is_err());
}
