//! A literal lies in the library that wrote it, and is gone when that is unmapped.

use liveswap_state::State;

#[derive(State)]
struct Player {
    name: &'static str,
}

fn main() {}
