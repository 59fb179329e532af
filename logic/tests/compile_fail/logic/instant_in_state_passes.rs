//! What has to be kept is a time of day; what hasn't is skipped.

use std::time::{Instant, SystemTime};

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
    began: SystemTime,
    #[state(skip)]
    latest: Option<Instant>,
}

struct GameV1;

impl Logic for GameV1 {
    type State = World;

    fn create(_: &Context) -> World {
        World { total: 0, began: SystemTime::now(), latest: Some(Instant::now()) }
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

fn main() {
    let context = Context::new("logic", "1001");
    let mut world = GameV1::create(&context);
    assert_eq!(GameV1::hit(&mut world, &context, 3), 3);
    assert!(world.began <= SystemTime::now());
    assert!(world.latest <= Some(Instant::now()));
}
