//! One way leads from somewhere.

use liveswap_state::State;

#[derive(State)]
#[state(version = 2, one_way)]
struct World {
    day: u32,
}

fn main() {}
