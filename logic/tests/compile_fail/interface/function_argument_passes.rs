//! The values cross, and who asked for them visits them.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn each(&self) -> Vec<u64>;
}

struct GameV1;

impl Logic for GameV1 {
    type State = Vec<u64>;

    fn create(_: &Context) -> Vec<u64> {
        vec![3, 4]
    }
}

impl GameLogic for GameV1 {
    fn each(scores: &Vec<u64>, _: &Context) -> Vec<u64> {
        scores.clone()
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let mut sum = 0;
    GameV1::each(&GameV1::create(&context), &context).into_iter().for_each(|score| sum += score);
    assert_eq!(sum, 7);
}
