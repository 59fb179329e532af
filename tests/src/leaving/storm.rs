//! Swaps under callers that never pause.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fixture_api::behaviours::Behaviour;

use super::callers::call;
use super::swapper::Swapper;
use super::{JUDGED_FROM, number, report, resident};
use crate::alone;

const CALLERS: usize = 4;
const BEHAVIOURS: [Behaviour; 4] = [
    Behaviour::ThreadLocalTouched,
    Behaviour::CurrentThread,
    Behaviour::RandomNumbers,
    Behaviour::TracingEvents,
];
const WARM_UP: usize = 100;
/// The most memory, in bytes, that all swaps after the first ones may leave behind.
const GROWTH_MAX: usize = 1024 * 1024;

/// Has the storm run in a process of its own. In that one, runs it.
pub fn storm(test: &str) {
    if alone::purpose().is_some() {
        return run();
    }
    report(test, "storm").unwrap_or_else(|failure| panic!("{failure}"));
}

fn run() {
    let swaps = number("LIVESWAP_STORM", 300);
    let mut swapper = Swapper::new(&[], |builder| builder);
    let module = swapper.module();
    let done = AtomicBool::new(false);
    let call_on = || {
        for behaviour in BEHAVIOURS.into_iter().cycle() {
            // Relaxed: nothing is handed over with it.
            if done.load(Ordering::Relaxed) {
                return;
            }
            call(&module, behaviour);
        }
    };
    let mut memory_after = |swaps: usize| {
        (0..swaps).for_each(|_| swapper.swap());
        resident(|| {
            swapper.swap();
            swapper.wait_until_alone(|| {});
        })
    };
    let grown = thread::scope(|scope| {
        // Dropped also if a swap fails: the callers must not run on.
        let _done = Done(&done);
        for _ in 0..CALLERS {
            scope.spawn(call_on);
        }
        let before = memory_after(WARM_UP);
        memory_after(swaps - WARM_UP).saturating_sub(before)
    });
    let mapped = swapper.mapped();
    drop(swapper);
    eprintln!(
        "{}storm: {CALLERS} callers {swaps} swaps, {} KiB more than after {WARM_UP}, {mapped} mapped",
        alone::REPORT,
        grown / 1024,
    );
    assert!(swaps < JUDGED_FROM || grown <= GROWTH_MAX, "memory grows by {grown} bytes");
}

struct Done<'done>(&'done AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
