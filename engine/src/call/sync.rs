//! The atomics and locks of the announcement protocol: the standard library's, or loom's in its model.

#[cfg(liveswap_loom)]
use std::time::Duration;
use std::time::Instant;

#[cfg(not(liveswap_loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

#[cfg(liveswap_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

#[cfg(not(liveswap_loom))]
pub(crate) use crate::lock::lock;

/// Locks. Nothing panics under a lock in the model, but for the model itself when it has found a fault.
#[cfg(liveswap_loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no fault was found so far")
}

#[cfg(not(liveswap_loom))]
use crate::lock::wait as wait_once;

#[cfg(liveswap_loom)]
fn wait_once<'mutex, T>(
    condvar: &Condvar,
    _: &'mutex Mutex<T>,
    guard: MutexGuard<'mutex, T>,
    time: Option<Duration>,
) -> MutexGuard<'mutex, T> {
    match time {
        None => condvar.wait(guard).expect("no fault was found so far"),
        Some(time) => condvar.wait_timeout(guard, time).expect("no fault was found so far").0,
    }
}

/// Waits for the condition variable, for no longer than to the deadline. The second is true if that has passed.
pub(crate) fn wait<'mutex, T>(
    condvar: &Condvar,
    mutex: &'mutex Mutex<T>,
    guard: MutexGuard<'mutex, T>,
    deadline: Option<Instant>,
) -> (MutexGuard<'mutex, T>, bool) {
    let Some(deadline) = deadline else { return (wait_once(condvar, mutex, guard, None), false) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, true);
    }
    (wait_once(condvar, mutex, guard, Some(left)), Instant::now() >= deadline)
}
