//! Sets: modules whose versions change together, so that no unit of work sees old ones beside new ones.
//!
//! Which version each member of a set has is one immutable list, a *generation* of the set, and that is published by one
//! store. A thread that enters a member is pinned to the generation that it finds published, until it has left the last
//! member that it is inside of, in whatever order it leaves them. In between, each member that it enters has that
//! generation's version for it, whatever is published meanwhile.
//!
//! **Pinning** is the announcement protocol of a module, with generations for versions: a thread says in a line of its
//! own for the set to which one it is [pinned](pin). The same handshake makes sure that a generation which isn't
//! published any more, and which nobody is seen in after the heavy barrier, will never be entered again. A member's
//! version needs no handshake of its own: who announces it is pinned to a generation that has it, and stays so for
//! longer.
//!
//! **Draining.** So a version is held by whoever announces it, and by whoever is pinned to a generation that has it: such
//! a thread may enter it at any time. Which generations have it is looked up in a list of those that somebody may
//! still be pinned to. A thread that announces one that isn't on the list is about to turn back.
//!
//! **Holding back.** What is published for a member makes a new generation at once, unless that is [held](Held) back:
//! then one generation comes of all that was published meanwhile. Until it does, what it replaces may still be entered,
//! and counts as held by somebody.
//!
//! **Shutting.** While the state of any member becomes another one, nobody may be in any of them: a thread that is
//! pinned could go on to that member at any time. So the set has one door for all of its members, and a hand-over waits
//! until nobody is pinned at all.
//!
//! **Joining and leaving.** A member has a place in the list, which a later one may have when it has left. So each has a
//! number beside, which is never given out twice: a thread that asks for a member in a generation of before, or after,
//! finds that the place is somebody else's there, and that means no version.

mod pin;

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

pub(super) use pin::Pin;

use super::announcement::OUTSIDE;
use super::barrier;
use super::bell::Bell;
use super::door::Door;
use super::participants::{Holding, Participant, Participants};
use super::published::Published;
use super::sync::{Mutex, lock};
use super::version::Version;

/// The number of no member.
const NOBODY: usize = 0;

/// A place among a set's members.
#[derive(Clone, Default)]
struct Place {
    /// Whose it is.
    member: usize,
    /// None for a member that has no version.
    version: Option<Arc<Version>>,
}

impl Place {
    fn serial(&self) -> usize {
        self.version.as_ref().map_or(OUTSIDE, |version| version.serial)
    }
}

/// What one store publishes.
pub(super) struct Generation {
    /// Counts the set's generations. Never [`OUTSIDE`].
    number: usize,
    places: Box<[Place]>,
}

impl Generation {
    /// The version that it has for a member.
    fn version(&self, place: usize, member: usize) -> Option<&Arc<Version>> {
        let place = self.places.get(place).filter(|place| place.member == member);
        place.and_then(|place| place.version.as_ref())
    }
}

/// Modules whose versions change together.
pub(crate) struct Set {
    pub(crate) name: String,
    published: Published<Generation>,
    participants: Participants,
    door: Door,
    changes: Mutex<Changes>,
}

/// For whoever publishes.
struct Changes {
    /// What the next generation will have.
    next: Vec<Place>,
    /// How many members have joined so far.
    joined: usize,
    /// Whether that differs from what was published last.
    is_due: bool,
    /// How many hold the next generation back.
    holds: usize,
    /// The thread that has shut the set. It must not wait for the door.
    shut_by: Option<ThreadId>,
    /// How many generations there were.
    count: usize,
    /// Those that somebody may be pinned to. They hold nothing: a version leads to its module, and that to the set.
    living: Vec<Living>,
}

/// A generation, and the serial numbers of its versions.
struct Living {
    number: usize,
    serials: Box<[usize]>,
}

impl Set {
    /// A set that has no member yet. `bell` rings when somebody who is waited for leaves.
    pub(crate) fn new(name: String, bell: Arc<Bell>) -> Self {
        barrier::prepare();
        let changes = Changes {
            next: Vec::new(),
            joined: 0,
            is_due: false,
            holds: 0,
            shut_by: None,
            count: 0,
            living: Vec::new(),
        };
        Self {
            name,
            published: Published::none(),
            participants: Participants::new(bell),
            door: Door::new(),
            changes: Mutex::new(changes),
        }
    }

    /// Takes a member in, which has no version yet.
    pub(crate) fn join(self: &Arc<Self>) -> Membership {
        let mut changes = lock(&self.changes);
        changes.joined += 1;
        let member = changes.joined;
        let free = changes.next.iter().position(|place| place.member == NOBODY);
        let place = free.unwrap_or(changes.next.len());
        if free.is_none() {
            changes.next.push(Place::default());
        }
        changes.next[place].member = member;
        Membership { set: self.clone(), place, member }
    }

    /// Publishes all that is published for members while this lives as one generation, when it's dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        lock(&self.changes).holds += 1;
        Held { set: self.clone() }
    }

    /// Lets nobody in, and waits until nobody is in any member, unless that was done before and is still so. Nothing was
    /// published for a member since then, or since the last generation. What is returned, and whatever else holds the
    /// next generation back, keeps the set shut.
    ///
    /// # Errors
    ///
    /// Who was still inside at the deadline. The last generation is published again.
    pub(super) fn shut(self: &Arc<Self>, deadline: Instant) -> Result<Held, Vec<Holding>> {
        let held = self.hold();
        {
            let mut changes = lock(&self.changes);
            if changes.shut_by.is_some() {
                return Ok(held);
            }
            changes.shut_by = Some(thread::current().id());
            self.door.close();
            self.published.set(None);
            // Pairs with the light barriers in `Announcement::{enter, enter_again}`.
            barrier::heavy();
        }
        let is_pinned = |thread: &Participant| thread.announcement.version() != OUTSIDE;
        if self.participants.is_free_by(is_pinned, Some(deadline)) {
            return Ok(held);
        }
        let holders = self.participants.holding(is_pinned);
        self.publish_next(&mut lock(&self.changes));
        Err(holders)
    }

    /// Whether this thread has shut the set.
    pub(super) fn is_shut_by_this_thread(&self) -> bool {
        lock(&self.changes).shut_by == Some(thread::current().id())
    }

    /// Makes a generation of what is to be the next one.
    fn publish_next(&self, changes: &mut Changes) {
        changes.count += 1;
        let (number, places) = (changes.count, changes.next.clone().into_boxed_slice());
        let serials = places.iter().map(Place::serial).collect();
        changes.living.push(Living { number, serials });
        self.published.set(Some(Arc::new(Generation { number, places })));
        // Pairs with the light barriers in `Announcement::{enter, enter_again}`.
        barrier::heavy();
        // Whoever isn't seen in an earlier generation now won't be in it any more.
        let pinned = self.participants.announced();
        changes.living.retain(|living| living.number == number || pinned.contains(&living.number));
        changes.is_due = false;
        if changes.shut_by.take().is_some() {
            self.door.open();
        }
    }

    /// Whether a generation with this version is about to be replaced, and isn't yet. If so, the bell will ring when it is.
    fn is_still_published(&self, serial: usize) -> bool {
        let changes = lock(&self.changes);
        changes.holds > 0 && changes.living.last().is_some_and(|latest| latest.serials.contains(&serial))
    }

    /// Who is asked about: those that are pinned to a generation with this version; none if there is no such generation.
    fn pinned_to(&self, serial: usize) -> Option<impl Fn(&Participant) -> bool + use<>> {
        let changes = lock(&self.changes);
        let with_it = changes.living.iter().filter(|living| living.serials.contains(&serial));
        let numbers: Vec<_> = with_it.map(|living| living.number).collect();
        let is_pinned = move |thread: &Participant| numbers.contains(&thread.announcement.version());
        changes.living.iter().any(|living| living.serials.contains(&serial)).then_some(is_pinned)
    }
}

/// Holds the next generation of a set back until it's dropped.
pub(crate) struct Held {
    set: Arc<Set>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut changes = lock(&self.set.changes);
        changes.holds -= 1;
        if changes.holds == 0 {
            if changes.is_due || changes.shut_by.is_some() {
                self.set.publish_next(&mut changes);
            }
            drop(changes);
            // Who has waited for a version that was still published.
            self.set.participants.bell.ring();
        }
    }
}

/// A module's place in a set.
pub(crate) struct Membership {
    set: Arc<Set>,
    place: usize,
    member: usize,
}

impl Membership {
    /// The version that the module has from the next generation on. Nothing happens if it has left.
    pub(super) fn publish(&self, version: Option<Arc<Version>>) {
        self.change(Place { member: self.member, version });
    }

    /// The module leaves the set for good, and its place is free.
    pub(super) fn leave(&self) {
        self.change(Place::default());
    }

    fn change(&self, to: Place) {
        let mut changes = lock(&self.set.changes);
        if changes.next[self.place].member != self.member {
            return;
        }
        changes.next[self.place] = to;
        changes.is_due = true;
        if changes.holds == 0 {
            self.set.publish_next(&mut changes);
        }
    }

    pub(super) fn set(&self) -> &Arc<Set> {
        &self.set
    }

    pub(super) fn door(&self) -> &Door {
        &self.set.door
    }

    /// Whether any thread may enter the version, because it's pinned to a generation that has it, or such a one is still
    /// published. If so, the bell will ring once that changes. Meaningful for a version that the next generation won't
    /// have.
    pub(super) fn is_pinned(&self, serial: usize) -> bool {
        self.set.is_still_published(serial)
            || self.set.pinned_to(serial).is_some_and(|is_pinned| self.set.participants.is_held(is_pinned))
    }

    /// Who is pinned to a generation with the version, with names.
    pub(super) fn holders(&self, serial: usize) -> Vec<Holding> {
        let is_pinned = self.set.pinned_to(serial);
        is_pinned.map_or_else(Vec::new, |is_pinned| self.set.participants.holding(is_pinned))
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests;
