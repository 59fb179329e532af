//! Each type on the way derives.

use liveswap_state::State;

#[derive(State)]
struct Position {
    x: u32,
    y: u32,
}

#[derive(State)]
struct Player {
    position: Position,
}

fn main() {
    let player = Player { position: Position { x: 3, y: 4 } };
    assert_eq!(player.position.x + player.position.y, 7);
}
