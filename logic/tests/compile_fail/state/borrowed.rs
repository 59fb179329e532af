//! Nothing says that the borrowed player lives as long as the state.

use liveswap_state::State;

#[derive(State)]
struct Score<'player> {
    player: &'player str,
    points: u64,
}

fn main() {}
