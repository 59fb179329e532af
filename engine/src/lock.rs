//! Locking, whether or not a holder panicked.
//!
//! What the engine keeps under its locks is whole between any two statements, so a panic under one (of a subscriber
//! that an event was given to, say) spoils nothing.
//!
//! With `--cfg liveswap_race` (`ci/race`) nobody waits within the standard library. It isn't instrumented there, so
//! ThreadSanitizer would miss what a lock that was waited for has put in order. Instead, one asks for the lock until it
//! is free; and a condition variable wakes for nothing after a moment, as it always may.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

#[cfg(not(liveswap_race))]
macro_rules! take {
    ($lock:ident, $method:ident, $attempt:ident) => {
        $lock.$method().unwrap_or_else(PoisonError::into_inner)
    };
}

#[cfg(liveswap_race)]
macro_rules! take {
    ($lock:ident, $method:ident, $attempt:ident) => {
        loop {
            match $lock.$attempt() {
                Ok(guard) => break guard,
                Err(std::sync::TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
    };
}

/// Locks.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    take!(mutex, lock, try_lock)
}

/// Locks, together with others, to look.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    take!(lock, read, try_read)
}

/// Locks, alone, to change.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    take!(lock, write, try_write)
}

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
