//! The body is each version's own.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn rules(&self) -> String;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn rules(_: &u64, _: &Context) -> String {
        "none".to_owned()
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::rules(&GameV1::create(&context), &context), "none");
}
