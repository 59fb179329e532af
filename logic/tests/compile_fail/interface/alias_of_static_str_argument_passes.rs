//! An alias of an owned type is as good as the type.

use liveswap_state::{Context, Logic, interface};

type Name = String;

#[interface]
pub trait Game {
    fn hello(&self, who: Name) -> String;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn hello(_: &u64, _: &Context, who: Name) -> String {
        format!("hello, {who}")
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::hello(&GameV1::create(&context), &context, Name::from("test")), "hello, test");
}
