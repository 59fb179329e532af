//! The atomics and locks of the announcement protocol: the standard library's, or loom's in its model.

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

/// Waits for the condition variable, for no longer than to the deadline. The second is true if that has passed.
pub(crate) fn wait<'guard, T>(
    condvar: &Condvar,
    guard: MutexGuard<'guard, T>,
    deadline: Option<Instant>,
) -> (MutexGuard<'guard, T>, bool) {
    let Some(deadline) = deadline else {
        let waited = condvar.wait(guard);
        return (waited.unwrap_or_else(|poisoned| poisoned.into_inner()), false);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return (guard, true);
    }
    let waited = condvar.wait_timeout(guard, left);
    (waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0, Instant::now() >= deadline)
}
