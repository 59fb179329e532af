//! The logic that is exported is the one that is named, and this one isn't `GameLogic`.

use liveswap_logic::Context;

mod api {
    #[liveswap_state::interface]
    pub trait Game {
        fn total(&self) -> u64;
    }
}

use api::GameLogic;

struct Entry;

impl liveswap_logic::Logic for Entry {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

liveswap_logic::export! {
    module: "logic",
    version: "1001",
    logic: Entry as GameLogic,
}

fn main() {}
