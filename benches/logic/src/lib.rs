//! The logic that the benchmarks call.

use liveswap_benches::SmallestLogic;
use liveswap_logic::{Context, Logic};
use liveswap_state::State;

/// What each call adds.
#[derive(State)]
pub struct Step(u64);

struct Adding;

impl Logic for Adding {
    type State = Step;

    fn create(_: &Context) -> Step {
        Step(1)
    }
}

impl SmallestLogic for Adding {
    fn next(_: &Context, number: u64) -> u64 {
        // May panic, so that what the fence costs is in what is measured.
        number.checked_add(1).expect("nobody counts that far")
    }

    fn next_shared(step: &Step, _: &Context, number: u64) -> u64 {
        number.wrapping_add(step.0)
    }

    fn next_alone(step: &mut Step, _: &Context, number: u64) -> u64 {
        number.wrapping_add(step.0)
    }

    fn version(_: &Context) -> u64 {
        NUMBER
    }
}

/// The same without liveswap: what a pointer into a library costs by itself.
// SAFETY: no other library exports this name.
#[unsafe(no_mangle)]
pub extern "C" fn bench_next(number: u64) -> u64 {
    number.checked_add(1).expect("nobody counts that far")
}

/// Set by whoever builds it for a measurement.
const VERSION: &str = match option_env!("LIVESWAP_FIXTURE_VERSION") {
    Some(version) => version,
    None => "0",
};

/// The version as a number, for callers that ask at every call.
const NUMBER: u64 = match u64::from_str_radix(VERSION, 10) {
    Ok(number) => number,
    Err(_) => panic!("the benchmarks number their versions"),
};

liveswap_logic::export! { module: "logic", version: VERSION, logic: Adding as SmallestLogic }
