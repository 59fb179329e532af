//! What comes as a `Cow` is owned before it is kept.

use std::borrow::Cow;

use liveswap_state::State;

#[derive(State)]
struct Player {
    name: String,
}

fn main() {
    let player = Player { name: Cow::Borrowed("test").into_owned() };
    assert_eq!(player.name, "test");
}
