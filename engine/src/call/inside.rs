//! A thread inside a version: the calls that it makes there, one within another or not, and how they borrow the state.

use std::sync::Arc;

use super::CallPath;
use super::announcement::Announcement;
use super::bell::Bell;
use super::deadlock::Waiting;
use super::doing::Doing;
use super::gate::{Barred, Closed};
use super::local::Local;
use super::suspicion::Suspicion;

/// A thread that is inside, and where.
#[derive(Clone, Copy)]
pub(super) struct Inside<'guard> {
    pub(super) local: &'guard Local,
}

impl<'guard> Inside<'guard> {
    #[inline(always)]
    fn announcement(self) -> &'guard Announcement {
        self.local.announcement()
    }

    #[inline(always)]
    pub(super) fn path(self) -> &'guard CallPath {
        self.local.path()
    }

    fn bell(self) -> &'guard Arc<Bell> {
        &self.path().participants.bell
    }

    /// One guard less. True if the thread is outside now, and asked to settle what it owes.
    #[inline(always)]
    pub(super) fn leave(self) -> bool {
        if self.announcement().is_nested() {
            self.leave_nested()
        } else {
            self.announcement().leave() && self.answer_outside()
        }
    }

    #[cold]
    #[inline(never)]
    fn leave_nested(self) -> bool {
        self.announcement().unnest();
        false
    }

    #[cold]
    #[inline(never)]
    fn answer_outside(self) -> bool {
        let is_asked = self.announcement().answer_outside(self.bell());
        let is_asked_in_set = self.local.leave_set();
        is_asked || is_asked_in_set
    }

    /// Begins a call that doesn't touch the state.
    #[inline(always)]
    pub(super) fn call(self, method: usize) -> Call<'guard> {
        let (doing, outer) = (Doing::calling(method), self.announcement().own_doing());
        if outer == Doing::NOTHING {
            self.announcement().say(doing);
        } else {
            // The outer call may be one that borrows the state, and then still is.
            self.say_apart(doing.within(outer));
        }
        Call { inside: self, outer }
    }

    /// Out of line, lest the compiler makes one store of this and the one that it stands beside.
    #[cold]
    #[inline(never)]
    fn say_apart(self, doing: Doing) {
        self.announcement().say(doing);
    }

    /// Begins a call that borrows the state of this generation together with others.
    #[inline(always)]
    pub(super) fn share(self, method: usize, generation: usize) -> Result<Shared<'guard>, Barred> {
        self.share_for(Doing::calling(method), generation)
    }

    /// The same for what the thread then does.
    #[inline(always)]
    pub(super) fn share_for(self, doing: Doing, generation: usize) -> Result<Shared<'guard>, Barred> {
        let outer = self.announcement().own_doing();
        let is_possible = outer == Doing::NOTHING && self.announcement().shares_shortly();
        if is_possible {
            self.announcement().borrow_again(doing);
        }
        if !(is_possible && self.path().gate.admits(generation)) {
            self.share_slowly(doing, outer, generation)?;
        }
        Ok(Shared { inside: self, outer })
    }

    #[cold]
    #[inline(never)]
    fn share_slowly(self, doing: Doing, outer: Doing, generation: usize) -> Result<(), Barred> {
        if self.announcement().own_doing() != outer {
            // The gate hasn't admitted it.
            self.give_back(outer);
        }
        if self.announcement().is_alone() {
            return Err(Barred::Reentrant);
        }
        if outer.is_borrowing() {
            self.announcement().say(doing.borrowing());
            return Ok(());
        }
        let mut waiting = None;
        let before = || {
            // One wait at a time.
            drop(waiting.take());
            waiting = Waiting::begin(self.local, false)?;
            Ok(())
        };
        self.announcement().borrow(&self.path().gate, generation, doing, outer, self.bell(), before)
    }

    #[cold]
    #[inline(never)]
    fn give_back(self, outer: Doing) {
        if self.announcement().give_back(outer) {
            self.announcement().answer(self.bell());
        }
    }

    #[cold]
    #[inline(never)]
    fn answer(self) {
        self.announcement().answer(self.bell());
    }

    /// Borrows the state of this generation alone, for a call.
    pub(super) fn seclude(self, method: usize, generation: usize) -> Result<Alone<'guard>, Barred> {
        self.seclude_for(Doing::calling(method), generation)
    }

    /// The same for what the thread then does.
    pub(super) fn seclude_for(self, doing: Doing, generation: usize) -> Result<Alone<'guard>, Barred> {
        let outer = self.announcement().own_doing();
        if self.announcement().is_alone() || outer.is_borrowing() {
            return Err(Barred::Reentrant);
        }
        let waiting = Waiting::begin(self.local, true)?;
        let closed = self.path().gate.close_for(generation, &self.path().participants)?;
        drop(waiting);
        self.announcement().say(doing.borrowing());
        self.announcement().set_alone(true);
        Ok(Alone { inside: self, outer, closed })
    }
}

/// A call that doesn't touch the state.
pub(super) struct Call<'guard> {
    inside: Inside<'guard>,
    outer: Doing,
}

impl Drop for Call<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Stores what is known, not what was loaded: else each call would wait for the store of the one before.
        if self.outer == Doing::NOTHING {
            self.inside.announcement().say(Doing::NOTHING);
        } else {
            self.inside.say_apart(self.outer);
        }
    }
}

/// A call that shares the state.
pub(super) struct Shared<'guard> {
    inside: Inside<'guard>,
    outer: Doing,
}

impl Drop for Shared<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // As in `Call`.
        if self.outer != Doing::NOTHING {
            self.inside.give_back(self.outer);
        } else if self.inside.announcement().give_back(Doing::NOTHING) {
            self.inside.answer();
        }
    }
}

/// The exclusive borrow of the state, for one call.
pub(super) struct Alone<'guard> {
    inside: Inside<'guard>,
    outer: Doing,
    /// Opens the gate when it is dropped, which is after [`Alone`]'s own drop.
    closed: Closed<'guard>,
}

impl Alone<'_> {
    /// The call has panicked, and may have left the state half changed.
    #[cold]
    pub(super) fn suspect(&mut self, suspicion: Suspicion) {
        let suspicions = &self.inside.path().suspicions;
        suspicions.note(suspicion);
        if !suspicions.lets_in() {
            self.closed.suspect();
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.inside.announcement().set_alone(false);
        self.inside.give_back(self.outer);
    }
}
