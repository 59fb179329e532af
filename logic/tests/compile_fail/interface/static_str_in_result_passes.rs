//! A literal is copied before it leaves.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn leader(&self) -> Option<String>;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn leader(players: &u64, _: &Context) -> Option<String> {
        (*players > 0).then(|| "test".to_owned())
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::leader(&0, &context), None);
    assert_eq!(GameV1::leader(&1, &context).as_deref(), Some("test"));
}
