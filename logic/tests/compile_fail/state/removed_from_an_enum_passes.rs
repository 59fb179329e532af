//! A new variant says what it becomes when one goes back.

use liveswap_state::{Migrate, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub enum Kind {
        Human,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Kind, additive)]
enum Kind {
    Human,
    #[state(new = v1::Kind::Human)]
    Elf,
}

fn main() {
    assert!(matches!(Kind::migrate(v1::Kind::Human), Ok(Kind::Human)));
    assert!(matches!(v1::Kind::migrate(Kind::Elf), Ok(v1::Kind::Human)));
}
