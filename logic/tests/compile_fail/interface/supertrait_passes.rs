//! All that the host may call stands in one place.

use liveswap_state::{Context, Interface, Logic, MethodSpec, interface};

const METHODS: &[MethodSpec] = <dyn Game as Interface>::METHODS;

#[interface]
pub trait Game {
    fn hello(&self) -> String;
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
    fn hello(_: &u64, _: &Context) -> String {
        "hello".to_owned()
    }

    fn score(points: &u64, _: &Context) -> u64 {
        *points
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    assert_eq!(GameV1::hello(&7, &context), "hello");
    assert_eq!(GameV1::score(&7, &context), 7);
    assert!(METHODS.iter().map(|method| method.name).eq(["hello", "score"]));
}
