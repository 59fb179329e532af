//! State is reached from several threads, and `Rc` counts for one.

use std::rc::Rc;

use liveswap_state::State;

#[derive(State)]
struct Room {
    topic: Rc<String>,
}

fn main() {}
