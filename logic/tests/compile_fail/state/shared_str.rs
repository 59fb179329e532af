//! The default `Arc<str>` points to a static of the library that asked for it.

use std::sync::Arc;

use liveswap_state::State;

#[derive(State)]
struct Room {
    topic: Arc<str>,
}

fn main() {}
