//! A field is new; a type says what it came from.

use liveswap_state::State;

#[derive(State)]
#[state(new)]
struct World {
    #[state(additive)]
    day: u32,
}

fn main() {}
