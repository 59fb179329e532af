//! The bell: how a caller that leaves wakes whoever waits for it to leave.
//!
//! A ring is never lost: whoever waits reads the count first, then looks for a reason to wait, and then
//! waits for the count to move on from what it read.

use std::time::Instant;

use super::sync::{Condvar, Mutex, lock, wait};

pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

struct State {
    rings: usize,
    /// How many wait: without any, ringing needn't enter the kernel.
    waiting: usize,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { rings: 0, waiting: 0 }), rung: Condvar::new() }
    }

    /// How often the bell has rung.
    pub(crate) fn rings(&self) -> usize {
        lock(&self.state).rings
    }

    /// Wakes everyone who waits.
    pub(crate) fn ring(&self) {
        let mut state = lock(&self.state);
        state.rings = state.rings.wrapping_add(1);
        if state.waiting > 0 {
            self.rung.notify_all();
        }
    }

    /// Waits until the bell has rung since the count was `seen`. False if the deadline passed first.
    pub(crate) fn wait(&self, seen: usize, deadline: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        while state.rings == seen {
            state.waiting += 1;
            let (again, has_passed) = wait(&self.rung, &self.state, state, deadline);
            state = again;
            state.waiting -= 1;
            if has_passed && state.rings == seen {
                return false;
            }
        }
        true
    }
}
