//! An attempt to have the active version do something with the state, by a hook that takes its turn among the calls.
//!
//! The hook may have to wait for the state, and whoever waits for the hook may give up. Both go by one word, which each
//! of them moves on:
//!
//! 1. The hook has the state, and [begins](Attempt::begin), unless it was called off while it waited.
//! 2. It has done it, and [concludes](Attempt::conclude), while it has the state still. If nobody counts on it by then, it
//!    must see to it that nobody has to.
//! 3. Whoever waits [gives up](Attempt::give_up) at the deadline. What has been concluded by then counts.
//!
//! So both always agree on what the hook has come to, and nobody else gets at the state between that and what is done
//! about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const WAITS: u8 = 0;
const HAS_BEGUN: u8 = 1;
const IS_CONCLUDED: u8 = 2;
const IS_GIVEN_UP: u8 = 3;

/// One side of an attempt: the hook's, or that of who waits for it.
pub(super) struct Attempt(Arc<AtomicU8>);

/// How far a hook was that isn't waited for any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// It hasn't got the state, and will do nothing when it does.
    Nothing,
    /// It's at it, and will find that nobody counts on it.
    Beginning,
    /// It was done that very moment.
    Conclusion,
}

impl Attempt {
    /// The side of who waits, and the hook's.
    pub(super) fn new() -> (Self, Self) {
        let word = Arc::new(AtomicU8::new(WAITS));
        (Self(word.clone()), Self(word))
    }

    /// The hook has the state. False if it was called off.
    pub(super) fn begin(&self) -> bool {
        self.goes_on(WAITS, HAS_BEGUN)
    }

    /// The hook has done it. False if nobody counts on that any more.
    pub(super) fn conclude(&self) -> bool {
        self.goes_on(HAS_BEGUN, IS_CONCLUDED)
    }

    fn goes_on(&self, from: u8, to: u8) -> bool {
        // Relaxed, as below: whichever comes first, and nothing is read on the strength of it.
        self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Waits no longer.
    pub(super) fn give_up(&self) -> Reached {
        let give_up = |word| (word != IS_CONCLUDED).then_some(IS_GIVEN_UP);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give_up) {
            Ok(WAITS) => Reached::Nothing,
            Ok(_) => Reached::Beginning,
            Err(_) => Reached::Conclusion,
        }
    }

    /// Whether the other side has let go: the hook doesn't have the state, and won't.
    pub(super) fn is_over(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_concluded_counts_and_what_was_given_up_does_not() {
        let (waiting, hook) = Attempt::new();
        assert!(hook.begin() && hook.conclude());
        assert_eq!(waiting.give_up(), Reached::Conclusion);

        let (waiting, hook) = Attempt::new();
        assert!(hook.begin());
        assert_eq!(waiting.give_up(), Reached::Beginning);
        assert!(!hook.conclude());

        let (waiting, hook) = Attempt::new();
        assert_eq!(waiting.give_up(), Reached::Nothing);
        assert!(!hook.begin() && !hook.conclude());
    }

    #[test]
    fn it_is_over_once_the_hook_has_let_go() {
        let (waiting, hook) = Attempt::new();
        hook.begin();
        waiting.give_up();
        assert!(!waiting.is_over());
        drop(hook);
        assert!(waiting.is_over());
    }
}
