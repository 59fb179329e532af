//! The call path: how a thread gets into a version's code, and how long that version must stay.
//!
//! A call writes its own thread's cache line and reads two words that change only with a swap: no lock,
//! no allocation, no system call, no line that another thread writes. Everything that costs is on the
//! side of whoever swaps or waits.
//!
//! | module | what it holds |
//! |---|---|
//! | [`announcement`] | the protocol between a caller and whoever waits for it |
//! | [`doing`] | what a caller does inside, in one word |
//! | [`barrier`] | the fence that only the waiting side pays for |
//! | [`bell`] | how a caller that leaves wakes whoever waits |
//! | [`gate`] | exclusive calls against shared ones |
//! | [`turn`] | exclusive calls among each other |
//! | [`deadlock`] | threads that would wait for each other, with a state of another module in hand |
//! | [`door`] | nobody enters for a moment, and nobody is turned away |
//! | [`handover`] | turning the state into one of another shape, between two versions |
//! | [`suspicion`] | what is noted when an exclusive call has panicked |
//! | [`participants`] | all threads of a module: the grace period and its holders |
//! | [`number`] | the place that a module has in each thread's table |
//! | [`local`] | one thread's own side: the way in |
//! | [`inside`] | the calls that it makes there |
//! | [`leases`] | versions that are held without a thread |
//! | [`thread`] | a thread, by name |
//! | [`set`] | modules whose versions change together |
//! | [`footprint`] | what a version has left on threads, beside the calls inside |
//! | [`owed`] | one thread's own side of that: destructors that it has to run |
//! | [`thread_locals`] | making a thread new to a library |
//! | [`guard`] | what a caller holds |
//! | [`version`] | what a call needs of a version |
//! | [`published`] | which version that is |
//!
//! It knows nothing of how versions come to be or end: no staging, no files, no dlopen. `loom_model`
//! checks the protocol over all interleavings.

mod announcement;
mod barrier;
mod bell;
mod deadlock;
mod doing;
mod door;
pub(crate) mod footprint;
mod gate;
mod guard;
mod handover;
mod inside;
mod leases;
mod local;
pub(crate) mod meter;
mod number;
pub(crate) mod owed;
mod participants;
mod published;
pub(crate) mod set;
pub(crate) mod suspicion;
mod sync;
mod thread;
mod thread_locals;
mod turn;
mod version;

#[cfg(all(test, liveswap_loom))]
mod loom_model;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use liveswap_state::{Access, MethodSpec};

pub(crate) use bell::Bell;
use door::Door;
pub(crate) use footprint::Footprint;
pub(crate) use gate::FIRST as FIRST_GENERATION;
use gate::Gate;
pub use guard::Guard;
use handover::Entrance;
pub(crate) use handover::HandOver;
pub(crate) use leases::Lease;
use leases::Leases;
use local::Apart;
pub(crate) use local::{Labelled, method_in};
use number::Number;
use participants::Participants;
pub(crate) use participants::{Hold, Holding};
use published::Published;
use set::Membership;
use suspicion::{SuspectPolicy, Suspicions};
pub(crate) use version::{StatePointer, Version};

/// One module, as its callers see it.
pub(crate) struct CallPath {
    /// The module's name.
    pub(crate) module: String,
    /// The methods of the host's interface.
    pub(crate) methods: &'static [MethodSpec],
    /// The module's place in each thread's table.
    number: Number,
    published: Published<Version>,
    participants: Participants,
    leases: Leases,
    gate: Gate,
    door: Door,
    pub(crate) suspicions: Suspicions,
    /// The set that it is of, if it's of one. That publishes its versions then, and has the door.
    membership: Option<Membership>,
    stopped: AtomicBool,
}

impl CallPath {
    /// `bell` rings when somebody who is waited for leaves a version.
    pub(crate) fn new(
        module: String,
        methods: &'static [MethodSpec],
        bell: Arc<Bell>,
        policy: SuspectPolicy,
    ) -> Self {
        barrier::prepare();
        Self {
            module,
            methods,
            number: Number::take(),
            published: Published::none(),
            participants: Participants::new(bell.clone()),
            leases: Leases::new(bell),
            gate: Gate::new(),
            door: Door::new(),
            suspicions: Suspicions::new(policy),
            membership: None,
            stopped: AtomicBool::new(false),
        }
    }

    /// The same as a member of a set, which nobody has called yet.
    pub(crate) fn of_set(self, membership: Membership) -> Self {
        Self { membership: Some(membership), ..self }
    }

    /// Publishes a version: from here on nobody enters another one. It can't fail.
    pub(crate) fn publish(&self, version: Arc<Version>) {
        if let Some(membership) = &self.membership {
            return membership.publish(Some(version));
        }
        self.published.set(Some(version));
        // Pairs with the light barriers in `Announcement::{enter, enter_again}`.
        barrier::heavy();
    }

    /// Takes the active version away for good: from here on nobody enters any.
    pub(crate) fn stop(&self) {
        // Relaxed: a hint for cleaning up; calls are turned away by the empty cell.
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(membership) = &self.membership {
            return membership.publish(None);
        }
        self.published.set(None);
        // As in `publish`.
        barrier::heavy();
    }

    /// Runs `work` while nobody is in the state; none if somebody still is at the deadline, where there is one. Calls wait
    /// meanwhile.
    pub(crate) fn alone_by<R>(
        self: &Arc<Self>,
        deadline: impl Into<Option<Instant>>,
        work: impl FnOnce() -> R,
    ) -> Option<R> {
        let _closed = self.gate.close_by(&self.participants, deadline.into())?;
        let _apart = Apart::new(self);
        Some(work())
    }

    /// Who is in the state, with names.
    pub(crate) fn in_the_state(&self) -> Vec<Holding> {
        self.participants.holding(|thread| thread.announcement.doing().is_borrowing())
    }

    /// Lets calls back to a state that was suspect. False if somebody is in the way at the deadline.
    pub(crate) fn trust(&self, generation: usize, deadline: Instant) -> bool {
        let Some(mut closed) = self.gate.close_by(&self.participants, Some(deadline)) else { return false };
        closed.trust(generation);
        // While the gate is closed: a suspicion that comes up afterwards stays.
        self.suspicions.clear();
        true
    }

    /// The module has stopped for good: what it has in its set, if it's of one, another one may have.
    pub(crate) fn leave_set(&self) {
        if let Some(membership) = &self.membership {
            membership.leave();
        }
    }

    fn number(&self) -> usize {
        self.number.get()
    }

    fn door(&self) -> &Door {
        self.membership.as_ref().map_or(&self.door, Membership::door)
    }

    fn entrance(&self) -> Entrance<'_> {
        Entrance { door: &self.door, gate: &self.gate, participants: &self.participants }
    }

    /// Whether what a thread is in doesn't touch the state: not if it's between two calls, after which it may.
    fn is_stateless(&self, method: Option<usize>) -> bool {
        method.is_some_and(|method| self.methods[method].access == Access::Stateless)
    }

    /// Whether anybody is inside the version, may enter it because of its set's generation that the thread is pinned to, or
    /// leases it. If so, the bell will ring once that may have changed.
    ///
    /// Meaningful for a version that isn't published any more: nobody enters that again but through a lease.
    pub(crate) fn is_inside(&self, serial: usize) -> bool {
        // In this order: who is pinned may enter the version, and lease it.
        let is_pinned = self.membership.as_ref().is_some_and(|membership| membership.is_pinned(serial));
        is_pinned || self.leases.is_in_use(&self.participants, serial)
    }

    /// Who is inside the version, or may enter it as above, with names; then who leases it.
    pub(crate) fn holders(&self, serial: usize) -> Vec<Holding> {
        let mut holders = self.participants.holders(serial);
        if let Some(membership) = &self.membership {
            let mut pinned = membership.holders(serial);
            pinned.retain(|other| holders.iter().all(|holder| holder.thread_id != other.thread_id));
            holders.extend(pinned);
        }
        holders.extend(self.leases.holders(serial));
        holders
    }
}
