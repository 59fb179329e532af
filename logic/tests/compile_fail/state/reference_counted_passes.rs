//! `Arc` counts for all threads.

use std::sync::Arc;

use liveswap_state::State;

#[derive(State)]
struct Room {
    topic: Arc<String>,
}

fn main() {
    let topic = Arc::new("news".to_owned());
    let room = Room { topic: Arc::clone(&topic) };
    drop(topic);
    assert_eq!(*room.topic, "news");
}
