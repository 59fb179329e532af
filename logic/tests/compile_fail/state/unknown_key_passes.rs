//! The one key is `version`.

use liveswap_state::State;

#[derive(State)]
#[state(version = 2)]
struct World {
    total: u64,
}

fn main() {
    assert_eq!(World::SCHEMA, 2);
    assert_eq!(World { total: 7 }.total, 7);
}
