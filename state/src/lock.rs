//! Locking, whether or not a holder panicked.
//!
//! Under the mutexes of this crate and of the engine, nothing that can panic happens in the middle of a change, so a
//! panic under one (of a subscriber that an event was given to, say) spoils nothing. What a panic under the lock of a
//! shard leaves, is said where that is taken.
//!
//! With `--cfg liveswap_race` (`ci/race`) nobody waits within the standard library. It isn't instrumented there, so
//! ThreadSanitizer would miss what a lock that was waited for has put in order. Instead, one asks for the lock until it
//! is free.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(not(liveswap_race))]
macro_rules! take {
    ($lock:ident, $method:ident, $attempt:ident) => {
        $lock.$method().unwrap_or_else(std::sync::PoisonError::into_inner)
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
#[inline]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    take!(mutex, lock, try_lock)
}

/// Locks, together with others, to look.
#[inline]
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    take!(lock, read, try_read)
}

/// Locks, alone, to change.
#[inline]
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    take!(lock, write, try_write)
}
