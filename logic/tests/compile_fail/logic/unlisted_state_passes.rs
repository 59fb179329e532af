//! A state may be one of the listed types by itself.

use liveswap_logic::{Context, Logic};
use liveswap_state::HashMap;

struct GameV1;

impl Logic for GameV1 {
    type State = HashMap<String, u64>;

    fn create(_: &Context) -> HashMap<String, u64> {
        HashMap::new()
    }
}

fn main() {
    let mut state = GameV1::create(&Context::new("logic", "1001"));
    state.insert("test".to_owned(), 7);
    assert_eq!(state.get("test"), Some(&7));
}
