//! liveswap's map never holds the address of that static.

use liveswap_state::{HashMap, State};

#[derive(State)]
struct World {
    scores: HashMap<String, u64>,
}

fn main() {
    let mut world = World { scores: HashMap::new() };
    world.scores.insert("test".to_owned(), 7);
    assert_eq!(world.scores.get("test"), Some(&7));
}
