//! `count`: counts how often it was run. The count is the module's state, so it outlives the version.

use std::sync::atomic::{AtomicU64, Ordering};

use liveswap_logic::{Context, Logic};
use shell_api::{CommandLogic, Outcome};

struct Count;

impl Logic for Count {
    type State = AtomicU64;

    fn create(_: &Context) -> AtomicU64 {
        AtomicU64::new(0)
    }
}

impl CommandLogic for Count {
    fn about(_: &Context) -> String {
        "counts how often it was run".to_owned()
    }

    fn run(runs: &AtomicU64, _: &Context, _: &[String]) -> Outcome {
        Outcome::done((runs.fetch_add(1, Ordering::Relaxed) + 1).to_string())
    }
}

liveswap_logic::export! {
    module: "count",
    version: "1",
    logic: Count as CommandLogic,
}
