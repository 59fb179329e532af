//! A message derives what state derives.

use liveswap_state::{Context, Logic, State, interface};

#[derive(State)]
pub struct Score {
    pub points: u64,
}

#[interface]
pub trait Game {
    fn best(&self) -> Option<Score>;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn best(points: &u64, _: &Context) -> Option<Score> {
        Some(Score { points: *points })
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::best(&7, &context).unwrap().points, 7);
}
