//! Each logic exports its own code: that of another takes the state for something else.

use liveswap_logic::{Context, Logic};

mod api {
    #[liveswap_state::interface]
    pub trait Game {
        fn total(&self) -> u64;
    }
}

use api::GameLogic;

struct Large;

impl Logic for Large {
    type State = [u64; 64];

    fn create(_: &Context) -> [u64; 64] {
        [7; 64]
    }
}

impl GameLogic for Large {
    fn total(state: &[u64; 64], _: &Context) -> u64 {
        state.iter().sum()
    }
}

struct Small;

impl Logic for Small {
    type State = u8;

    fn create(_: &Context) -> u8 {
        7
    }
}

impl GameLogic for Small {
    const __LIVESWAP_EXPORT: liveswap_state::Export<Self, dyn api::Game> =
        <Large as GameLogic>::__LIVESWAP_EXPORT;

    fn total(state: &u8, _: &Context) -> u64 {
        u64::from(*state)
    }
}

liveswap_logic::export! {
    module: "logic",
    version: "1001",
    logic: Small as GameLogic,
}

fn main() {}
