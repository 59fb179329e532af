//! What is skipped begins as its default.

use liveswap_state::State;

#[derive(State)]
struct Cache {
    hits: u64,
}

#[derive(State)]
struct World {
    day: u32,
    #[state(skip)]
    cache: Cache,
}

fn main() {}
