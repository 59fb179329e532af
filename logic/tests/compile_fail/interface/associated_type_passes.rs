//! The type of an answer is agreed on beside the interface.

use liveswap_state::{Context, Logic, State, interface};

#[derive(State)]
pub struct Score {
    pub points: u64,
}

#[interface]
pub trait Game {
    fn score(&self) -> Score;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn score(points: &u64, _: &Context) -> Score {
        Score { points: *points }
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::score(&7, &context).points, 7);
}
