//! The bell: how a caller that leaves wakes whoever waits for it to leave.
//!
//! A ring is never lost: whoever waits reads the count first, then looks for a reason to wait, and then
//! waits for the count to move on from what it read.

use std::time::Instant;

use super::sync::{Condvar, Mutex, lock};

pub(crate) struct Bell {
    rings: Mutex<usize>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { rings: Mutex::new(0), rung: Condvar::new() }
    }

    /// How often the bell has rung.
    pub(crate) fn rings(&self) -> usize {
        *lock(&self.rings)
    }

    /// Wakes everyone who waits.
    pub(crate) fn ring(&self) {
        let mut rings = lock(&self.rings);
        *rings = rings.wrapping_add(1);
        self.rung.notify_all();
    }

    /// Waits until the bell has rung since the count was `seen`. False if the deadline passed first.
    pub(crate) fn wait(&self, seen: usize, deadline: Option<Instant>) -> bool {
        let mut rings = lock(&self.rings);
        while *rings == seen {
            rings = match deadline {
                None => self.rung.wait(rings).unwrap_or_else(|poisoned| poisoned.into_inner()),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let waited = self.rung.wait_timeout(rings, left);
                    waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0
                }
            };
        }
        true
    }
}
