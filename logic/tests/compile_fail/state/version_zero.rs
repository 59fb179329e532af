//! The version before the first would be below zero.

use liveswap_state::State;

#[derive(State)]
#[state(version = 0)]
struct World {
    total: u64,
}

fn main() {}
