//! A `String` lies on the host's heap.

use liveswap_state::State;

#[derive(State)]
struct Player {
    name: String,
}

fn main() {
    let player = Player { name: "test".to_owned() };
    assert_eq!(player.name, "test");
    assert_eq!(Player::NAME, "Player");
}
