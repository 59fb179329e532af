//! The variant is marked, and nothing in it.

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
    #[state(new)]
    Dragon { fire: u32 },
}

fn main() {
    assert!(matches!(Kind::migrate(v1::Kind::Human), Ok(Kind::Human)));
    let Err(why) = v1::Kind::migrate(Kind::Dragon { fire: 100 }) else { panic!("there were no dragons") };
    assert_eq!(why.to_string(), "`Dragon` wasn't there before");
}
