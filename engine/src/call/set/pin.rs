//! A thread's own side of a set: the generation that it's pinned to, and for how many members.
//!
//! All sides of the set's members that a thread has share one. It's counted by the members that the thread is inside of,
//! each once, however many guards it holds there.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::Arc;

use super::super::announcement::{Announcement, OUTSIDE};
use super::super::owed;
use super::super::participants::Participant;
use super::super::version::Version;
use super::{Generation, Membership, Set};

pub(in super::super) struct Pin {
    set: Arc<Set>,
    participant: Arc<Participant>,
    /// The generation that this thread was pinned to last. It stays until the thread is pinned to another one.
    kept: RefCell<Option<Arc<Generation>>>,
    /// Its number.
    entered: Cell<usize>,
    /// Its address, or that of none.
    generation: Cell<NonNull<Generation>>,
}

impl Pin {
    pub(in super::super) fn new(set: Arc<Set>) -> Self {
        let thread = owed::this_thread();
        let participant = Arc::new(Participant::new(thread.clone()));
        // What a thread is asked to settle while it's pinned, it may have to put off until it's free again.
        thread.join(&participant);
        if owed::owes() {
            participant.announcement.ask_to_settle();
        }
        set.participants.join(participant.clone());
        let generation = Cell::new(NonNull::dangling());
        Self { set, participant, kept: RefCell::new(None), entered: Cell::new(OUTSIDE), generation }
    }

    pub(in super::super) fn is_of(&self, set: &Arc<Set>) -> bool {
        Arc::ptr_eq(&self.set, set)
    }

    fn announcement(&self) -> &Announcement {
        &self.participant.announcement
    }

    /// The thread enters a member: pins it, or counts one more. False if no generation is published.
    pub(in super::super) fn enter(&self) -> bool {
        let (announcement, bell) = (self.announcement(), &self.set.participants.bell);
        if announcement.is_inside() {
            announcement.nest();
            return true;
        }
        if announcement.enter_again(self.entered.get()) {
            if self.set.published.is(self.generation.get()) {
                return true;
            }
            announcement.turn_back(bell);
        }
        // Dropping the generation before runs no code but the engine's own, so nothing comes back here meanwhile.
        let mut kept = self.kept.borrow_mut();
        let published = || {
            *kept = self.set.published.get();
            kept.as_ref().map_or(OUTSIDE, |generation| generation.number)
        };
        let entered = announcement.enter(self.entered.get(), published, bell);
        self.entered.set(entered);
        self.generation
            .set(kept.as_ref().map_or(NonNull::dangling(), |generation| NonNull::from(&**generation)));
        entered != OUTSIDE
    }

    /// Looks at the member's version in the generation that the thread is pinned to.
    pub(in super::super) fn look<R>(
        &self,
        membership: &Membership,
        look: impl FnOnce(&Arc<Version>) -> R,
    ) -> Option<R> {
        let kept = self.kept.borrow();
        kept.as_ref()?.version(membership.place, membership.member).map(look)
    }

    /// The thread has left a member. True if it's asked to settle what it owes, which it can do now if it isn't pinned
    /// any more.
    pub(in super::super) fn leave(&self) -> bool {
        let announcement = self.announcement();
        if announcement.is_nested() {
            announcement.unnest();
            return false;
        }
        announcement.leave() && announcement.answer_outside(&self.set.participants.bell)
    }

    /// The thread hasn't entered the member after all.
    pub(in super::super) fn turn_back(&self) {
        let announcement = self.announcement();
        if announcement.is_nested() {
            announcement.unnest();
        } else {
            announcement.turn_back(&self.set.participants.bell);
        }
    }

    /// Whether the thread may enter the version with this serial number, because it's pinned to a generation that has it.
    pub(in super::super) fn is_to(&self, serial: usize) -> bool {
        let kept = self.kept.borrow();
        let is_to =
            |generation: &Arc<Generation>| generation.places.iter().any(|place| place.serial() == serial);
        self.announcement().is_inside() && kept.as_ref().is_some_and(is_to)
    }

    /// Whether the thread may be in this version of a member: if it's pinned, it must be the generation's.
    pub(in super::super) fn allows(&self, membership: &Membership, serial: usize) -> bool {
        !self.announcement().is_inside() || self.look(membership, |version| version.serial) == Some(serial)
    }

    /// Whether the thread is pinned, or has shut the set.
    pub(in super::super) fn is_kept_out(&self) -> bool {
        self.announcement().is_inside() || self.set.is_shut_by_this_thread()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.set.participants.part(&self.participant);
    }
}
