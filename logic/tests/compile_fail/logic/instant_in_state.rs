//! A moment of a monotonic clock means nothing after a restart, so it can't be in a snapshot.

use std::time::Instant;

use liveswap_logic::{Context, Logic};
use liveswap_state::State;

mod api {
    #[liveswap_state::interface]
    pub trait Game {
        fn hit(&mut self, points: u64) -> u64;
    }
}

use api::GameLogic;

#[derive(State)]
struct World {
    total: u64,
    began: Instant,
}

struct GameV1;

impl Logic for GameV1 {
    type State = World;

    fn create(_: &Context) -> World {
        World { total: 0, began: Instant::now() }
    }
}

impl GameLogic for GameV1 {
    fn hit(world: &mut World, _: &Context, points: u64) -> u64 {
        world.total += points;
        world.total
    }
}

liveswap_logic::export! {
    module: "logic",
    version: "1001",
    logic: GameV1 as GameLogic,
}

fn main() {}
