//! The score owns the player's name.

use liveswap_state::State;

#[derive(State)]
struct Score {
    player: String,
    points: u64,
}

fn main() {
    let score = Score { player: "test".to_owned(), points: 7 };
    assert_eq!((score.player.as_str(), score.points), ("test", 7));
}
