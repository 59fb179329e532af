//! Letters, digits, `_` and `-`.

use liveswap_logic::{Context, Logic};

mod api {
    #[liveswap_state::interface]
    pub trait Game {
        fn hit(&mut self, points: u64) -> u64;
    }
}

use api::GameLogic;

struct GameV1;

impl Logic for GameV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl GameLogic for GameV1 {
    fn hit(total: &mut u64, _: &Context, points: u64) -> u64 {
        *total += points;
        *total
    }
}

liveswap_logic::export! {
    module: "net_logic-2",
    version: "1.4.0",
    logic: GameV1 as GameLogic,
}

fn main() {
    let context = Context::new("logic", "1001");
    let mut total = GameV1::create(&context);
    assert_eq!(GameV1::hit(&mut total, &context, 7), 7);
    assert_eq!(total, 7);
}
