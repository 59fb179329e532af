//! A misspelled key must not be passed over.

use liveswap_state::State;

#[derive(State)]
#[state(schema = 2)]
struct World {
    total: u64,
}

fn main() {}
