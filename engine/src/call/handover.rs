//! A hand-over: the one moment in which the state belongs to no version.
//!
//! To publish a version whose state has another shape, all calls that may touch the state must have left the old
//! one. A unit of work that is inside may still make calls, so it has to come to its end, while others wait:
//!
//! 1. the [door](super::door) is closed and the published version taken away: no unit of work begins;
//! 2. those that are inside end, except for those in a call that doesn't touch the state;
//! 3. the [gate](super::gate) is closed: should one of those come back to the state now, it waits;
//! 4. the state is turned into the new one, which is the next generation;
//! 5. the gate is opened for that one, the new version published, the door opened.
//!
//! Whoever waits, waits no longer than the deadline: if step 2 or 3 isn't done by then, the old version is published
//! again and all is as before. A unit of work that was in a call without state all the while, and touches the state
//! only now, is told that it has come too late: [`Barred::Superseded`](super::gate::Barred).

use std::sync::Arc;
use std::time::Instant;

use super::gate::{FIRST, SUSPECT};
use super::participants::{Holding, Participant};
use super::{CallPath, Version};
use crate::call::announcement::OUTSIDE;

/// Nobody is in the state and nobody comes in, until this is finished or dropped.
pub(crate) struct HandOver {
    path: Arc<CallPath>,
    /// What is published again if this is dropped.
    from: Option<Arc<Version>>,
    /// The gate is closed, and was open for this.
    was_open_for: Option<usize>,
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
        path.door.close();
        path.active.store(None);
        // As in `CallPath::publish`.
        super::barrier::heavy();
        let mut this = Self { path: path.clone(), from: Some(from.clone()), was_open_for: None };
        let is_in_the_way = |thread: &Participant| is_in_the_way(path, thread);
        if path.participants.is_free_by(is_in_the_way, Some(deadline))
            && let Some(closed) = path.gate.close_by(&path.participants, deadline)
        {
            this.was_open_for = Some(closed.keep());
            // One that was in a call without state may have gone on to another one before the gate was closed.
            if !path.participants.is_held(is_in_the_way) {
                return Ok(this);
            }
        }
        Err(path.participants.holding(is_in_the_way))
    }

    /// What is published again if this isn't finished: `from`, with another address of the same state.
    pub(crate) fn fall_back_to(&mut self, from: Arc<Version>) {
        self.from = Some(from);
    }

    /// The state that the version has from now on is as it should be, whatever has happened to the one before.
    pub(crate) fn trust(&mut self) {
        self.was_open_for = self.was_open_for.map(|_| FIRST);
    }

    /// There is no state any more, and so no version to publish: calls are turned away.
    pub(crate) fn give_up(mut self) {
        self.from = None;
    }

    /// Publishes the version that the state is now for. It can't fail.
    pub(crate) fn publish(mut self, version: Arc<Version>) {
        self.from = Some(version);
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        let Some(version) = self.from.take() else {
            self.path.door.open();
            return;
        };
        match self.was_open_for {
            // Turning it over doesn't make it less suspect.
            Some(SUSPECT) => self.path.gate.reopen(SUSPECT),
            Some(_) => self.path.gate.reopen(version.generation),
            None => {}
        }
        self.path.publish(version);
        self.path.door.open();
    }
}

/// Whether the thread may touch the state before it leaves.
fn is_in_the_way(path: &CallPath, thread: &Participant) -> bool {
    let announcement = &thread.announcement;
    announcement.version() != OUTSIDE
        && (announcement.is_borrowing() || !path.is_stateless(announcement.method()))
}
