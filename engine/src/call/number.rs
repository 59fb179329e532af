//! The numbers of modules: the place that each has in every thread's table of its own sides.
//!
//! Each thread's table is as long as the highest number that it has met. So a number is given out again once its module is
//! gone, or modules that come and go would make these tables grow for ever. What a thread has in its table holds the
//! module's call path, and with it the number: so nobody finds another module's at the place of its own.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::lock::lock;

static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { next: 0, free: BTreeSet::new() });

struct Numbers {
    /// The lowest that was never given out.
    next: usize,
    free: BTreeSet<usize>,
}

/// A module's number, given back when it's dropped.
#[derive(Debug)]
pub(super) struct Number(usize);

impl Number {
    /// The lowest that no module has.
    pub(super) fn take() -> Self {
        let mut numbers = lock(&NUMBERS);
        let number = numbers.free.pop_first().unwrap_or(numbers.next);
        numbers.next = numbers.next.max(number + 1);
        Self(number)
    }

    pub(super) fn get(&self) -> usize {
        self.0
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        lock(&NUMBERS).free.insert(self.0);
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_nobody_elses_as_long_as_it_is_held_and_used_again_then() {
        // Other tests take numbers, too: these are the ones that they leave.
        let held: Vec<_> = (0..100).map(|_| Number::take()).collect();
        let distinct: BTreeSet<_> = held.iter().map(Number::get).collect();
        assert_eq!(distinct.len(), held.len());
        let highest = held.last().map(Number::get);
        drop(held);
        for _ in 0..10_000 {
            assert!(Some(Number::take().get()) < highest.map(|highest| highest + 1_000));
        }
    }
}
