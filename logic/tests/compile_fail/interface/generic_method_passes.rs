//! One method for each type that crosses.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn count_words(&self, words: Vec<String>) -> u64;
    fn count_numbers(&self, numbers: Vec<u64>) -> u64;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn count_words(_: &u64, _: &Context, words: Vec<String>) -> u64 {
        words.len() as u64
    }

    fn count_numbers(_: &u64, _: &Context, numbers: Vec<u64>) -> u64 {
        numbers.len() as u64
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let state = GameV1::create(&context);
    assert_eq!(GameV1::count_words(&state, &context, vec!["test".to_owned()]), 1);
    assert_eq!(GameV1::count_numbers(&state, &context, vec![3, 4]), 2);
}
