//! An empty map of the standard library points to a static of the library that made it.

use std::collections::HashMap;

use liveswap_state::State;

#[derive(State)]
struct World {
    scores: HashMap<String, u64>,
}

fn main() {}
