//! By hand there is one.

use liveswap_state::{Migrate, MigrateError, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub enum Kind {
        Human,
        Elf,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Kind)]
enum Kind {
    Human,
}

impl Migrate<v1::Kind> for Kind {
    fn migrate(old: v1::Kind) -> Result<Self, MigrateError> {
        match old {
            v1::Kind::Human => Ok(Self::Human),
            v1::Kind::Elf => Err("there are no elves any more".into()),
        }
    }
}

impl Migrate<Kind> for v1::Kind {
    fn migrate(_: Kind) -> Result<Self, MigrateError> {
        Ok(Self::Human)
    }
}

fn main() {
    assert!(Kind::migrate(v1::Kind::Elf).is_err());
    assert!(Kind::migrate(v1::Kind::Human).is_ok());
}
