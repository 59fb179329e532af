//! Logic answers what is so now, and the host asks again.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn poll(&mut self) -> Option<u64>;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn poll(calls: &mut u64, _: &Context) -> Option<u64> {
        *calls += 1;
        (*calls == 3).then_some(7)
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let mut calls = GameV1::create(&context);
    let answer = (0..10).find_map(|_| GameV1::poll(&mut calls, &context));
    assert_eq!((answer, calls), (Some(7), 3));
}
