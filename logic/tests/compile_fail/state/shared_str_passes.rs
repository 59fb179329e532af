//! An `Arc<String>` is on the host's heap, the default one too.

use std::sync::Arc;

use liveswap_state::State;

#[derive(Default, State)]
struct Room {
    topic: Arc<String>,
}

fn main() {
    assert_eq!(*Room::default().topic, "");
}
