//! Versions are compared by their numbers, so there is nothing else in them.

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
    module: "logic",
    version: "v1",
    logic: GameV1 as GameLogic,
}

fn main() {}
