//! A schema version belongs to the type, not to one of its fields.

use liveswap_state::State;

#[derive(State)]
struct World {
    #[state(version = 2)]
    total: u64,
}

fn main() {}
