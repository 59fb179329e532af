//! An atomic is a `Cell` that threads may share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use liveswap_logic::{Context, Logic};
use liveswap_state::State;

#[derive(State)]
struct Scratch(AtomicU64);

struct GameV1;

impl Logic for GameV1 {
    type State = Scratch;

    fn create(_: &Context) -> Scratch {
        Scratch(AtomicU64::new(0))
    }
}

fn main() {
    let scratch = GameV1::create(&Context::new("logic", "1001"));
    thread::scope(|scope| {
        scope.spawn(|| scratch.0.fetch_add(3, Ordering::Relaxed));
        scope.spawn(|| scratch.0.fetch_add(4, Ordering::Relaxed));
    });
    assert_eq!(scratch.0.into_inner(), 7);
}
