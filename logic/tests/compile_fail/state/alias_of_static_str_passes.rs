//! An alias of an owned type is as good as the type.

use liveswap_state::State;

type Name = String;

#[derive(State)]
struct Player {
    name: Name,
}

fn main() {
    let player = Player { name: Name::from("test") };
    assert_eq!(player.name, "test");
}
