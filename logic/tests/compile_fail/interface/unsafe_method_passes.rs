//! What could go wrong is part of the answer.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn score(&self, player: usize) -> Option<u64>;
}

struct GameV1;

impl Logic for GameV1 {
    type State = Vec<u64>;

    fn create(_: &Context) -> Vec<u64> {
        vec![3, 4]
    }
}

impl GameLogic for GameV1 {
    fn score(scores: &Vec<u64>, _: &Context, player: usize) -> Option<u64> {
        scores.get(player).copied()
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let scores = GameV1::create(&context);
    assert_eq!(GameV1::score(&scores, &context, 1), Some(4));
    assert_eq!(GameV1::score(&scores, &context, 2), None);
}
