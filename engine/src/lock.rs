//! Locking, whether or not a holder panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. What the engine keeps under its locks is whole between any two statements, so a panic under one
/// (of a subscriber that an event was given to, say) spoils nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
