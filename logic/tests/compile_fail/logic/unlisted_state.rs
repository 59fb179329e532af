//! The state's type as a whole is checked, not only its fields.

use std::collections::HashMap;

use liveswap_logic::{Context, Logic};

struct GameV1;

impl Logic for GameV1 {
    type State = HashMap<String, u64>;

    fn create(_: &Context) -> HashMap<String, u64> {
        HashMap::new()
    }
}

fn main() {}
