//! The gate: an exclusive call has the state alone, and shared calls pay nothing for that.
//!
//! It is a reader-writer lock whose readers write only their own announcement. To have the state alone, a
//! thread takes its turn among the exclusive callers, closes the gate, passes the heavy barrier, and
//! waits until no thread borrows the state. Shared calls that come meanwhile wait until the gate opens. So
//! exclusive calls go first, and cost a `membarrier` each; shared calls cost a load.

use super::barrier;
use super::bell::Bell;
use super::participants::{Participant, Participants};
use super::sync::{AtomicBool, Mutex, MutexGuard, Ordering, lock};

pub(crate) struct Gate {
    closed: AtomicBool,
    turn: Mutex<()>,
    opened: Bell,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { closed: AtomicBool::new(false), turn: Mutex::new(()), opened: Bell::new() }
    }

    /// Acquire: pairs with the Release store that opens the gate. What the exclusive call wrote happens
    /// before whatever a shared call then reads.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    #[cold]
    pub(crate) fn wait_until_open(&self) {
        loop {
            let rings = self.opened.rings();
            if self.is_open() {
                return;
            }
            self.opened.wait(rings, None);
        }
    }

    /// Closes the gate and waits until nobody but `caller` borrows the state. The gate opens again when
    /// what is returned is dropped.
    pub(crate) fn close(&self, participants: &Participants, caller: &Participant) -> Closed<'_> {
        let turn = lock(&self.turn);
        // Relaxed: ordered by the heavy barrier in `wait_until`, which pairs with the light one in
        // `Announcement::borrow`.
        self.closed.store(true, Ordering::Relaxed);
        let closed = Closed { gate: self, _turn: turn };
        barrier::heavy();
        participants
            .wait_until_free(|other| !std::ptr::eq(other, caller) && other.announcement.is_borrowing());
        closed
    }
}

/// The state is this thread's alone until this is dropped.
pub(crate) struct Closed<'gate> {
    gate: &'gate Gate,
    _turn: MutexGuard<'gate, ()>,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        // Release: pairs with `is_open`.
        self.gate.closed.store(false, Ordering::Release);
        self.gate.opened.ring();
    }
}
