//! Several threads share the state, so a type that says it may outlive its version must also be `Sync`.

use std::cell::Cell;

use liveswap_logic::{Context, Logic};
use liveswap_state::{Fingerprint, State};

struct Scratch(Cell<u64>);

// SAFETY: a number in place.
unsafe impl State for Scratch {
    const FINGERPRINT: Fingerprint = Fingerprint::of("Scratch").with_layout::<Self>();
    const NAME: &'static str = "Scratch";
}

struct GameV1;

impl Logic for GameV1 {
    type State = Scratch;

    fn create(_: &Context) -> Scratch {
        Scratch(Cell::new(0))
    }
}

fn main() {}
