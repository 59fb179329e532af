//! What the host passes is not what this logic takes.

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
    fn hit(total: &mut u64, _: &Context, points: u32) -> u64 {
        *total += u64::from(points);
        *total
    }
}

liveswap_logic::export! {
    module: "logic",
    version: "1001",
    logic: GameV1 as GameLogic,
}

fn main() {}
