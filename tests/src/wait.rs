//! Waiting for what another thread is about to do.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until the condition holds. Fails after a time that only a fault can need.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
