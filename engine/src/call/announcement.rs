//! Announcements: each thread says, in its own cache line, which version it is inside.
//!
//! Only its own thread writes a thread's announcement, but for one word ([`wanted`]) in which others say what
//! they want of the thread. So a call writes no line that another thread writes, as long as nobody waits.
//!
//! **Entering.** The thread announces the version that it takes to be published, passes the light barrier,
//! and looks which one is. If it is that one, the announcement holds; if not, it starts over with the other. Whoever
//! publishes stores the new version, passes the heavy barrier, and then reads the announcements. One of
//! the two sees the other: either the thread sees the new version and doesn't enter the old one, or the
//! publisher sees the thread announced in the old one and waits. It is the hazard pointer's handshake
//! (Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004), with whole
//! libraries for objects.
//!
//! **Borrowing the state** is the same handshake with the gate instead of the published version.
//!
//! **Leaving** clears the announced version and then looks at `wanted`; whoever waits sets `wanted` and then
//! looks at the announced version. Again one sees the other, so nobody waits for a thread that has left without
//! ringing.
//!
//! **Settling.** A thread that is asked to settle what it owes ([`owed`](super::owed)) sees that when it next
//! leaves. It stays asked until then: giving the state back answers only those who wait for the state.
//!
//! [`wanted`]: Announcement::wanted

use std::sync::Arc;

use super::barrier;
use super::bell::Bell;
use super::gate::{Barred, Gate};
use super::sync::{AtomicBool, AtomicUsize, Ordering};

/// The serial number of no version: the thread is outside.
pub(crate) const OUTSIDE: usize = 0;

pub(crate) struct Announcement {
    /// The serial number of the version the thread is inside, or [`OUTSIDE`].
    version: AtomicUsize,
    /// Whether the thread borrows the state, shared or alone.
    borrowing: AtomicBool,
    /// One more than the number of the method the thread is in. For people to read; orders nothing.
    method: AtomicUsize,
    /// How often the thread has entered: tells one long call from many short ones. Orders nothing.
    entries: AtomicUsize,
    /// What others want of the thread: [`RING`] and [`SETTLE`].
    wanted: AtomicUsize,
}

/// Somebody waits for the thread to leave or to give the state back.
const RING: usize = 1;
/// The thread owes destructors to a version that has retired.
const SETTLE: usize = 2;

impl Announcement {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicUsize::new(OUTSIDE),
            borrowing: AtomicBool::new(false),
            method: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
        }
    }

    /// Enters the published version and returns its serial number; [`OUTSIDE`] if there is none.
    ///
    /// `guess` is the version that this thread entered last; it mostly still is the published one.
    /// `published` gives the serial number of the one that is published now.
    #[inline]
    pub(crate) fn enter(
        &self,
        guess: usize,
        mut published: impl FnMut() -> usize,
        bell: &Arc<Bell>,
    ) -> usize {
        let mut version = if guess == OUTSIDE { published() } else { guess };
        while version != OUTSIDE {
            self.version.store(version, Ordering::Relaxed);
            // Pairs with the heavy barrier in `CallPath::publish`.
            barrier::light();
            let now = published();
            if now == version {
                self.entries.store(self.entries.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
                return version;
            }
            self.clear();
            self.answer(bell);
            version = now;
        }
        OUTSIDE
    }

    /// Leaves the version that was entered. True if the thread is asked to settle what it owes.
    #[inline]
    pub(crate) fn leave(&self, bell: &Arc<Bell>) -> bool {
        self.clear();
        self.answer(bell) && self.is_asked_to_settle()
    }

    #[inline]
    fn clear(&self) {
        // Release: pairs with the Acquire load in `version`. All that the call did with the version's
        // code happens before whoever sees it gone unmaps it.
        self.version.store(OUTSIDE, Ordering::Release);
    }

    /// Borrows the state of this generation, shared; waits while the gate is closed.
    #[inline]
    pub(crate) fn borrow(&self, gate: &Gate, generation: usize, bell: &Arc<Bell>) -> Result<(), Barred> {
        loop {
            self.borrowing.store(true, Ordering::Relaxed);
            // Pairs with the heavy barrier in `Gate::shut`.
            barrier::light();
            if gate.admits(generation) {
                return Ok(());
            }
            self.give_back(bell);
            gate.wait_for(generation)?;
        }
    }

    /// Says that the thread has the state alone, which the closed gate has made so.
    pub(crate) fn seclude(&self) {
        // Relaxed: read only by a hand-over, which takes its turn at the gate afterwards.
        self.borrowing.store(true, Ordering::Relaxed);
    }

    /// Gives the borrowed state back.
    #[inline]
    pub(crate) fn give_back(&self, bell: &Arc<Bell>) {
        // Release: pairs with the Acquire load in `is_borrowing`. What the call read and wrote happens
        // before whoever then has the state alone.
        self.borrowing.store(false, Ordering::Release);
        self.answer(bell);
    }

    /// Rings if somebody waits for what has just been stored. True if anything was wanted.
    #[inline]
    fn answer(&self, bell: &Arc<Bell>) -> bool {
        // Pairs with the heavy barrier between `expect` and the second look in `Participants::is_held`.
        barrier::light();
        let anything = self.wanted.load(Ordering::Relaxed) != 0;
        if anything {
            self.answer_slowly(bell);
        }
        anything
    }

    #[cold]
    fn answer_slowly(&self, bell: &Arc<Bell>) {
        // Acquire, so that a wish taken away here brings along what its owner did before it: the owner
        // closed its gate first, and this thread's next `borrow` must see that. Pairs with `expect`. (The
        // loom model can't show this: loom lets no store overtake another in one word's order.)
        if self.wanted.fetch_and(!RING, Ordering::AcqRel) & RING != 0 {
            bell.ring();
        }
    }

    #[cold]
    fn is_asked_to_settle(&self) -> bool {
        // Acquire: pairs with the Release in `ask_to_settle`. That the version has retired was noted first.
        self.wanted.fetch_and(!SETTLE, Ordering::AcqRel) & SETTLE != 0
    }

    /// Asks the thread to ring when it next leaves or gives back.
    pub(crate) fn expect(&self) {
        // Release: pairs with the Acquire in `answer_slowly`.
        self.wanted.fetch_or(RING, Ordering::Release);
    }

    /// Asks the thread to settle what it owes when it next leaves.
    pub(crate) fn ask_to_settle(&self) {
        // Release: pairs with the Acquire in `is_asked_to_settle`.
        self.wanted.fetch_or(SETTLE, Ordering::Release);
    }

    /// The version the thread is inside. Acquire: pairs with the Release store in `leave`.
    pub(crate) fn version(&self) -> usize {
        self.version.load(Ordering::Acquire)
    }

    /// Whether the thread borrows the state. Acquire: pairs with the Release store in `give_back`.
    pub(crate) fn is_borrowing(&self) -> bool {
        self.borrowing.load(Ordering::Acquire)
    }

    /// Notes which method the thread is in, for [`method`](Self::method), and returns what was noted.
    #[inline]
    pub(crate) fn note_method(&self, note: usize) -> usize {
        let outer = self.method.load(Ordering::Relaxed);
        self.method.store(note, Ordering::Relaxed);
        outer
    }

    /// The number of the method the thread is in.
    pub(crate) fn method(&self) -> Option<usize> {
        self.method.load(Ordering::Relaxed).checked_sub(1)
    }

    /// How often the thread has entered.
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use super::super::gate::FIRST;
    use super::*;

    /// Otherwise a thread whose every call shares the state would never get to settle.
    #[test]
    fn a_thread_that_is_asked_to_settle_stays_asked_until_it_leaves() {
        let (announcement, gate, bell) = (Announcement::new(), Gate::new(), Arc::new(Bell::new()));
        announcement.enter(OUTSIDE, || 1, &bell);
        announcement.ask_to_settle();
        announcement.expect();
        announcement.borrow(&gate, FIRST, &bell).unwrap();
        announcement.give_back(&bell);
        assert_eq!(bell.rings(), 1, "who waits for the state is answered");
        assert!(announcement.leave(&bell));
    }

    #[test]
    fn a_thread_that_meets_another_version_on_its_way_in_stays_asked() {
        let (announcement, bell) = (Announcement::new(), Arc::new(Bell::new()));
        announcement.ask_to_settle();
        assert_eq!(announcement.enter(1, || 2, &bell), 2);
        assert!(announcement.leave(&bell));
        announcement.enter(2, || 2, &bell);
        assert!(!announcement.leave(&bell), "it is asked once");
    }
}
