//! Nobody can check what a union really holds.

use liveswap_state::State;

#[derive(State)]
union Number {
    whole: u64,
    real: f64,
}

fn main() {}
