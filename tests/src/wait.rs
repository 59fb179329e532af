//! Waiting for what another thread is about to do.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the condition holds. Fails after a time that only a fault can need.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(comes_true(condition), "waited in vain until {what}");
}

/// The same for a test that has more to say when it fails.
pub fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(1));
    }
    true
}
