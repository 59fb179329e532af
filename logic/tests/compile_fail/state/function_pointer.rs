//! A function is code, and code changes with each version.

use liveswap_state::State;

#[derive(State)]
struct Timer {
    seconds: u64,
    then: fn(u64) -> u64,
}

fn main() {}
