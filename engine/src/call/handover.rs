//! A hand-over: the one moment in which the state belongs to no version.
//!
//! To publish a version whose state has another shape, all calls that may touch the state must have left the old
//! one. A unit of work that is inside may still make calls, so it has to come to its end, while others wait:
//!
//! 1. the [door](super::door) is closed and the published version taken away: no unit of work begins;
//! 2. those that are inside end, except for those in a call that doesn't touch the state;
//! 3. the [gate](super::gate) is closed: should one of those come back to the state now, it waits. If one has done so
//!    already, it's let go on, and waited for as in step 2;
//! 4. the state is turned into the new one, which is the next generation;
//! 5. the gate is opened for that one, the new version published, the door opened.
//!
//! Whoever waits, waits no longer than the deadline: if step 2 or 3 isn't done by then, the old version is published
//! again and all is as before. A unit of work that was in a call without state while the state was turned, and touches
//! it only now, is told that it has come too late: [`Barred::Superseded`](super::gate::Barred).
//!
//! Calls through [leases](super::leases) are held at the door, too, although what they enter needn't be published: else
//! those that come one after the other could keep step 2 from its end.
//!
//! A module that is of a [set](super::set) has no door of its own. There steps 1 and 2 are about the whole set, and about
//! every call in it: a thread that is in another member may come to this one at any time. (That is why nobody comes too
//! late there, either.)
//!
//! Step 2 goes by what a thread says that it's doing, and that may be a moment old. So it isn't what keeps old code and
//! the new state apart. The gate is, with its generations; step 2 only sees to it that hardly anybody comes too late.

use std::sync::Arc;
use std::time::Instant;

use super::announcement::OUTSIDE;
use super::door::Door;
use super::gate::{Gate, SUSPECT};
use super::local::Apart;
use super::participants::{Holding, Participant, Participants};
use super::set::{Held, Membership};
use super::{CallPath, Version};

/// Nobody is in the state and nobody comes in, until a version is published.
///
/// If this is dropped instead, the state is lost: calls are turned away.
pub(crate) struct HandOver {
    path: Arc<CallPath>,
    /// The next generation of the state.
    next: usize,
    /// Turning a state over doesn't make it less suspect.
    is_suspect: bool,
    /// What is published in the end.
    to: Option<Arc<Version>>,
    /// Keeps the module's set shut, if it's of one.
    shut: Option<Held>,
    _apart: Apart,
}

impl HandOver {
    /// Lets nobody in, and waits for those inside. `from` is what is published.
    ///
    /// # Errors
    ///
    /// Who was still inside at the deadline. All is as before.
    pub(crate) fn begin(
        path: &Arc<CallPath>,
        from: &Arc<Version>,
        deadline: Instant,
    ) -> Result<Self, Vec<Holding>> {
        if let Some(membership) = &path.membership {
            return Self::begin_in_set(path, membership, from, deadline);
        }
        let is_in_the_way = |thread: &Participant| is_in_the_way(thread, |method| path.is_stateless(method));
        let entrance = path.entrance();
        match entrance.close(|| path.published.set(None), is_in_the_way, Some(deadline)) {
            Some(was_open_for) => {
                let (next, is_suspect) = (from.generation + 1, was_open_for == SUSPECT);
                let _apart = Apart::new(path);
                Ok(Self { path: path.clone(), next, is_suspect, to: None, shut: None, _apart })
            }
            None => {
                let holders = path.participants.holding(is_in_the_way);
                entrance.open(None, || path.publish(from.clone()));
                Err(holders)
            }
        }
    }

    fn begin_in_set(
        path: &Arc<CallPath>,
        membership: &Membership,
        from: &Arc<Version>,
        deadline: Instant,
    ) -> Result<Self, Vec<Holding>> {
        let shut = membership.set().shut(deadline)?;
        // Nobody is in the set, so nobody is at the gate but, for a moment, who has just left it.
        let closed =
            path.gate.close_by(&path.participants, Some(deadline)).ok_or_else(|| path.in_the_state())?;
        let is_suspect = closed.keep() == SUSPECT;
        let (next, _apart) = (from.generation + 1, Apart::new(path));
        Ok(Self { path: path.clone(), next, is_suspect, to: None, shut: Some(shut), _apart })
    }

    /// The state that will be published is as it should be, whatever has happened to the one before.
    pub(crate) fn trust(&mut self) {
        self.is_suspect = false;
    }

    /// Publishes the version that the state is for: the next one, or the one before again. It can't fail.
    pub(crate) fn publish(mut self, version: Arc<Version>) {
        self.to = Some(version);
    }

    /// There is no state any more. Gives the generation that the next one is of.
    pub(crate) fn give_up(self) -> usize {
        self.next
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        if let (Some(shut), Some(membership)) = (self.shut.take(), &self.path.membership) {
            let version = self.to.take();
            let open_for = match &version {
                Some(_) if self.is_suspect => SUSPECT,
                Some(version) => version.generation,
                None => self.next,
            };
            self.path.gate.reopen(open_for);
            membership.publish(version);
            // Unless another member's state is on its way too, or the whole set is being swapped, this publishes.
            return drop(shut);
        }
        match self.to.take() {
            Some(version) => {
                let open_for = if self.is_suspect { SUSPECT } else { version.generation };
                self.path.entrance().open(Some(open_for), || self.path.publish(version));
            }
            // Nobody may wait for a state that doesn't come: those who still are inside are of an earlier one.
            None => self.path.entrance().open(Some(self.next), || {}),
        }
    }
}

/// Where calls and a hand-over meet. What is published is beside this: the model has something else for it.
pub(super) struct Entrance<'path> {
    pub(super) door: &'path Door,
    pub(super) gate: &'path Gate,
    pub(super) participants: &'path Participants,
}

impl Entrance<'_> {
    /// Lets nobody in, and waits for those inside. None if that isn't done by the deadline; else what the gate was open
    /// for. Either way it must be opened again.
    pub(super) fn close(
        &self,
        take_away: impl FnOnce(),
        is_in_the_way: impl Fn(&Participant) -> bool,
        deadline: Option<Instant>,
    ) -> Option<usize> {
        self.door.close();
        take_away();
        loop {
            // No barrier yet: who isn't seen here is seen below.
            if !self.participants.is_free_by(&is_in_the_way, deadline) {
                return None;
            }
            // Passes the heavy barrier, which pairs with the light ones in `Announcement::{enter, enter_again}`, too.
            let closed = self.gate.close_by(self.participants, deadline)?;
            // One that was in a call without state may have gone on to another one before the gate was closed.
            if !self.participants.is_held(&is_in_the_way) {
                return Some(closed.keep());
            }
            drop(closed);
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
        }
    }

    /// Lets in again: to the state, if the gate was closed, those of this generation.
    pub(super) fn open(&self, open_for: Option<usize>, publish: impl FnOnce()) {
        if let Some(generation) = open_for {
            self.gate.reopen(generation);
        }
        publish();
        self.door.open();
    }
}

/// Whether the thread may touch the state before it leaves.
pub(super) fn is_in_the_way(thread: &Participant, is_stateless: impl Fn(Option<usize>) -> bool) -> bool {
    let announcement = &thread.announcement;
    let doing = announcement.doing();
    announcement.version() != OUTSIDE && (doing.is_borrowing() || !is_stateless(doing.method()))
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests;
