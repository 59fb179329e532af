//! An exclusive call may leave something else in the state's place.

use liveswap_state::{Access, Context, Interface, Logic, MethodSpec, interface};

const METHODS: &[MethodSpec] = <dyn Game as Interface>::METHODS;

#[interface]
pub trait Game {
    fn finish(&mut self) -> u64;
}

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        7
    }
}

impl GameLogic for GameV1 {
    fn finish(total: &mut u64, _: &Context) -> u64 {
        std::mem::take(total)
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let mut total = GameV1::create(&context);
    assert_eq!(GameV1::finish(&mut total, &context), 7);
    assert_eq!(total, 0);
    assert_eq!(METHODS[0].access, Access::Exclusive);
}
