//! What state holds must be checked too.

use liveswap_state::State;

struct Position {
    x: u32,
    y: u32,
}

#[derive(State)]
struct Player {
    position: Position,
}

fn main() {}
