//! A mark that nothing looks at must not be passed over.

use liveswap_state::State;

#[derive(State)]
struct World {
    day: u32,
    #[state(new)]
    weather: String,
}

fn main() {}
