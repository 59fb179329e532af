//! The caller turns its value into the type that both sides know.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn hello(&self, who: String) -> String;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn hello(_: &u64, _: &Context, who: String) -> String {
        format!("hello, {who}")
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::hello(&GameV1::create(&context), &context, "test".into()), "hello, test");
}
