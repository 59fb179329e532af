//! One of them, with both keys.

use liveswap_state::{Sharded, State};

#[derive(State)]
struct World {
    players: Sharded<(u64, u64), String>,
}

fn main() {
    let world = World { players: Sharded::new() };
    world.players.insert((1, 2), "ada".to_owned());
    assert_eq!(world.players.len(), 1);
}
