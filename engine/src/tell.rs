//! Running what is the host's own code: above all its subscriber, which is told what has happened.

use std::panic::{self, AssertUnwindSafe};

/// Gives an event to the host's subscriber, which is the host's code and may panic, as a destructor of the
/// host's may. That must not take a thread of the engine's or a library along; the panic hook has reported it
/// already.
///
/// Returns what `event` returns, and nothing if it panicked.
pub(crate) fn tell<R>(event: impl FnOnce() -> R) -> Option<R> {
    match panic::catch_unwind(AssertUnwindSafe(event)) {
        Ok(result) => Some(result),
        Err(payload) => {
            // Dropping it could panic once more.
            std::mem::forget(payload);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_here() {
        assert_eq!(tell(|| 1), Some(1));
        assert_eq!(tell(|| -> u8 { panic!("a subscriber's own fault") }), None);
    }
}
