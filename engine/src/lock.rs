//! Locking, and waiting under a lock, whether or not a holder panicked.
//!
//! How a lock is taken, and why so with `--cfg liveswap_race`, is said where the state's crate does it. With that cfg a
//! condition variable isn't waited for either: it wakes for nothing after a moment, as it always may.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use liveswap_state::lock::{lock, read, write};

/// Waits for the condition variable, for no longer than so long if that's said. It may wake for nothing.
pub(crate) fn wait<'mutex, T>(
    condvar: &Condvar,
    mutex: &'mutex Mutex<T>,
    guard: MutexGuard<'mutex, T>,
    time: Option<Duration>,
) -> MutexGuard<'mutex, T> {
    if cfg!(liveswap_race) {
        const MOMENT: Duration = Duration::from_micros(100);
        drop(guard);
        std::thread::sleep(time.map_or(MOMENT, |time| time.min(MOMENT)));
        return lock(mutex);
    }
    match time {
        None => condvar.wait(guard).unwrap_or_else(PoisonError::into_inner),
        Some(time) => condvar.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
    }
}
