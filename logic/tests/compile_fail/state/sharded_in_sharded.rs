//! A collection's shards are bytes of their own, so there can be no collection in them.

use liveswap_state::{Sharded, State};

#[derive(State)]
struct World {
    rooms: Sharded<u64, Room>,
}

#[derive(State)]
struct Room {
    players: Sharded<u64, String>,
}

fn main() {
    assert!(World { rooms: Sharded::new() }.rooms.is_empty());
}
