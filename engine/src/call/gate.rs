//! The gate: an exclusive call has the state alone, and shared calls pay nothing for that.
//!
//! It is a reader-writer lock whose readers write only their own announcement. To have the state alone, a
//! thread takes its turn among those who want it, closes the gate, passes the heavy barrier, and
//! waits until no thread borrows the state. Shared calls that come meanwhile wait until the gate opens. So
//! exclusive calls go first, and cost a `membarrier` each; shared calls cost a load.
//!
//! The gate is open for one *generation* of the state. When the state is turned into one of another shape, the
//! generation is counted up, and what was made for the one before isn't admitted any more. So whatever happens around
//! it, no code ever gets at a state that it wasn't made for.

use std::time::Instant;

use super::barrier;
use super::bell::Bell;
use super::participants::Participants;
use super::sync::{AtomicUsize, Ordering};
use super::turn::Turn;

/// The first generation of a module's state.
pub(crate) const FIRST: usize = 1;
/// Open for nobody: somebody has the state alone.
const CLOSED: usize = 0;
/// The same, and the engine has or waits for it: not for longer than a moment.
const CLOSED_BY_ENGINE: usize = usize::MAX - 1;
/// Open for nobody until the engine has dealt with the state: it may be half changed.
pub(super) const SUSPECT: usize = usize::MAX;

/// Why a call may not borrow the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// This thread borrows it already, in a way that excludes the call.
    Reentrant,
    /// It has another shape now than the version was made for.
    Superseded,
    /// A panic may have left it half changed.
    Suspect,
    /// This thread borrows another module's state, and would wait for a thread that waits for it.
    Deadlock,
}

pub(crate) struct Gate {
    /// The generation that is admitted; or [`CLOSED`], or [`SUSPECT`]. Changed only by who has the turn.
    open_for: AtomicUsize,
    turn: Turn,
    opened: Bell,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { open_for: AtomicUsize::new(FIRST), turn: Turn::new(), opened: Bell::new() }
    }

    /// Acquire: pairs with the Release store that opens the gate. What was done to the state while it was closed
    /// happens before whatever a shared call then reads.
    #[inline(always)]
    pub(crate) fn admits(&self, generation: usize) -> bool {
        self.open_for.load(Ordering::Acquire) == generation
    }

    /// Whether somebody has the state alone, or is about to, and will for as long as a call takes.
    pub(crate) fn is_closed_by_a_call(&self) -> bool {
        self.open_for.load(Ordering::Acquire) == CLOSED
    }

    /// Waits until the gate is open for this generation. `before` is asked before each wait for the end of a call.
    #[cold]
    pub(crate) fn wait_for(
        &self,
        generation: usize,
        before: &mut dyn FnMut() -> Result<(), Barred>,
    ) -> Result<(), Barred> {
        loop {
            let rings = self.opened.rings();
            match self.open_for.load(Ordering::Acquire) {
                CLOSED => {
                    before()?;
                    self.opened.wait(rings, None)
                }
                CLOSED_BY_ENGINE => self.opened.wait(rings, None),
                SUSPECT => return Err(Barred::Suspect),
                open if open == generation => return Ok(()),
                _ => return Err(Barred::Superseded),
            };
        }
    }

    /// Closes the gate for a caller who is of this generation and doesn't borrow the state yet, and waits until nobody
    /// else does. The gate opens again when what is returned is dropped.
    pub(crate) fn close_for(
        &self,
        generation: usize,
        participants: &Participants,
    ) -> Result<Closed<'_>, Barred> {
        let closed = self.take_turn(None).expect("there is no deadline");
        match closed.reopens_for {
            SUSPECT => return Err(Barred::Suspect),
            open if open != generation => return Err(Barred::Superseded),
            _ => {}
        }
        self.shut(CLOSED);
        participants.wait_until_free(|other| other.announcement.doing().is_borrowing());
        Ok(closed)
    }

    /// Closes the gate for the engine, whatever it's open for, and waits until nobody borrows the state; none if the deadline
    /// passes first.
    pub(crate) fn close_by(
        &self,
        participants: &Participants,
        deadline: Option<Instant>,
    ) -> Option<Closed<'_>> {
        let closed = self.take_turn(deadline)?;
        self.shut(CLOSED_BY_ENGINE);
        participants.is_free_by(|other| other.announcement.doing().is_borrowing(), deadline).then_some(closed)
    }

    fn take_turn(&self, deadline: Option<Instant>) -> Option<Closed<'_>> {
        self.turn.take(deadline).then(|| {
            // Relaxed: changed by who has the turn, and that is passed on under its lock.
            let reopens_for = self.open_for.load(Ordering::Relaxed);
            Closed { gate: self, reopens_for }
        })
    }

    fn shut(&self, closed: usize) {
        // Relaxed: ordered by the heavy barrier, which pairs with the light ones in `Announcement::{borrow, borrow_again}`.
        self.open_for.store(closed, Ordering::Relaxed);
        barrier::heavy();
    }

    /// Opens the gate and passes the turn on. For who has it.
    pub(super) fn reopen(&self, generation: usize) {
        // Release: pairs with `admits`.
        self.open_for.store(generation, Ordering::Release);
        self.opened.ring();
        self.turn.give_back();
    }
}

/// The state is this thread's alone until this is dropped.
pub(crate) struct Closed<'gate> {
    gate: &'gate Gate,
    reopens_for: usize,
}

impl Closed<'_> {
    /// Lets nobody in afterwards, until the engine has dealt with it.
    pub(crate) fn suspect(&mut self) {
        self.reopens_for = SUSPECT;
    }

    /// Leaves the gate closed: [`Gate::reopen`] opens it. Gives what it was open for.
    pub(super) fn keep(self) -> usize {
        let reopens_for = self.reopens_for;
        std::mem::forget(self);
        reopens_for
    }

    /// Lets those in afterwards who are of this generation, whatever was noted before.
    pub(super) fn trust(&mut self, generation: usize) {
        self.reopens_for = generation;
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.gate.reopen(self.reopens_for);
    }
}
