//! The interface names the type.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn score(&self) -> u64;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn score(points: &u64, _: &Context) -> u64 {
        *points
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::score(&7, &context), 7);
}
