//! The atomics and locks of the announcement protocol: the standard library's, or loom's in its model.

#[cfg(not(liveswap_loom))]
pub(crate) use std::sync::{
    Condvar, Mutex,
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
