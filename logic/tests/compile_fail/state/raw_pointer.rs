//! A raw pointer may point anywhere, into a library too.

use liveswap_state::State;

#[derive(State)]
struct Cursor {
    place: *const u8,
}

fn main() {}
