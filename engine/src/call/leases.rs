//! Leases: a unit of work may hold its version without a thread, from one call to the next.
//!
//! A guard belongs to the thread that entered. Work that waits between its calls, as a task of an executor does, has no
//! thread meanwhile, and goes on with another one. So it takes a lease: an entry in the module's list, with a name for
//! people to read. Whoever waits until nobody is inside of a version, waits until nobody leases it, too.
//!
//! **The protocol.** A lease is taken by a thread that is inside of the version, before it leaves. A thread that makes a
//! call through the lease announces the version as in any other call, and leaves before the lease may end. So whoever
//! looks at the announcements first and then at this list, as [`Leases::is_in_use`] does, misses nobody: a thread that has
//! left has either put its entry here before, or was let in by an entry, which is here still or was taken out after that
//! call. The entries are under one lock, so what such a call did happens before.
//!
//! **Waking.** Whoever finds a version leased marks that under the same lock; the last lease of it to end sees the mark and
//! rings.
//!
//! Leases don't borrow the state, and stand in no hand-over's way: what a lease waits for may be a peer on the network,
//! who mustn't decide whether the state changes its shape. A call through a lease that begins in the moment of a hand-over
//! is held at the [door](super::door) until that has passed. The [gate](super::gate) tells one that comes too late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use liveswap_state::CallError;

use super::CallPath;
use super::bell::Bell;
use super::guard::Guard;
use super::participants::{Hold, Holding, Participants};
use super::sync::{Mutex, lock};
use super::version::Version;

/// All leases of one module.
pub(crate) struct Leases {
    list: Mutex<List>,
    /// Rings when the last lease of a version ends that somebody waits for.
    bell: Arc<Bell>,
}

#[derive(Default)]
struct List {
    /// By the versions' serial numbers. None is empty.
    versions: BTreeMap<usize, Leased>,
    /// How many were taken so far.
    taken: u64,
}

#[derive(Default)]
struct Leased {
    /// Somebody waits for the end of the last one.
    is_expected: bool,
    /// By number, so the oldest first.
    entries: BTreeMap<u64, Entry>,
}

struct Entry {
    name: Arc<str>,
    since: Instant,
}

impl Leases {
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { list: Mutex::new(List::default()), bell }
    }

    /// Takes a lease of the version that this thread is inside of. Gives the number to [end](Self::end) it by.
    pub(super) fn take(&self, serial: usize, name: Arc<str>) -> u64 {
        let mut list = lock(&self.list);
        list.taken += 1;
        let number = list.taken;
        let entry = Entry { name, since: Instant::now() };
        list.versions.entry(serial).or_default().entries.insert(number, entry);
        number
    }

    /// Ends a lease. No call is made through it any more.
    pub(super) fn end(&self, serial: usize, number: u64) {
        let mut list = lock(&self.list);
        let Some(leased) = list.versions.get_mut(&serial) else { return };
        leased.entries.remove(&number);
        let is_expected = leased.is_expected;
        if !leased.entries.is_empty() {
            return;
        }
        list.versions.remove(&serial);
        drop(list);
        if is_expected {
            self.bell.ring();
        }
    }

    /// Whether anybody is inside the version or leases it. If so, the bell will ring once that may have changed.
    ///
    /// Not for the published version: others may enter that.
    pub(super) fn is_in_use(&self, participants: &Participants, serial: usize) -> bool {
        // In this order: a lease is taken by who is inside.
        participants.is_inside(serial) || self.is_held(serial)
    }

    /// Whether anybody leases the version. If so, the bell will ring once nobody does.
    fn is_held(&self, serial: usize) -> bool {
        let mut list = lock(&self.list);
        let leased = list.versions.get_mut(&serial);
        leased.map(|leased| leased.is_expected = true).is_some()
    }

    /// Who leases the version, with names, the oldest first.
    pub(super) fn holders(&self, serial: usize) -> Vec<Holding> {
        let list = lock(&self.list);
        let entries = list.versions.get(&serial).into_iter().flat_map(|leased| leased.entries.values());
        let now = Instant::now();
        entries
            .map(|Entry { name, since }| Holding {
                label: Some(name.clone()),
                thread: String::new(),
                thread_id: 0,
                hold: Hold::Lease,
                age: now.saturating_duration_since(*since),
            })
            .collect()
    }
}

/// Holds a version until it's dropped, whichever thread has it.
pub(crate) struct Lease {
    path: Arc<CallPath>,
    version: Arc<Version>,
    name: Arc<str>,
    number: u64,
}

impl Lease {
    /// Leases the active version, or the one that this thread is inside of.
    pub(crate) fn take(path: &Arc<CallPath>, name: Arc<str>) -> Result<Self, Box<CallError>> {
        Guard::enter(path).map(|guard| Self::within(path, &guard, name))
    }

    /// The same, without waiting for anybody. None if that can't be, or there is no version.
    pub(crate) fn try_take(path: &Arc<CallPath>, name: Arc<str>) -> Option<Self> {
        Guard::try_enter(path).map(|guard| Self::within(path, &guard, name))
    }

    fn within(path: &Arc<CallPath>, guard: &Guard<'_>, name: Arc<str>) -> Self {
        let version = guard.kept();
        let number = path.leases.take(version.serial, name.clone());
        Self { path: path.clone(), version, name, number }
    }

    pub(crate) fn path(&self) -> &Arc<CallPath> {
        &self.path
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The version, as its manifest states it.
    pub(crate) fn version(&self) -> &str {
        self.version.context.version()
    }

    /// This thread enters the version. It leaves before the lease can end.
    pub(crate) fn enter(&self) -> Result<Guard<'_>, Box<CallError>> {
        Guard::enter_leased(&self.path, &self.version)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.path.leases.end(self.version.serial, self.number);
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use super::*;

    fn leases() -> (Leases, Arc<Bell>) {
        let bell = Arc::new(Bell::new());
        (Leases::new(bell.clone()), bell)
    }

    #[test]
    fn a_version_is_held_until_its_last_lease_ends_and_by_its_own_alone() {
        let (leases, _) = leases();
        let (one, other) = (leases.take(7, "one".into()), leases.take(7, "other".into()));
        let elsewhere = leases.take(8, "elsewhere".into());
        leases.end(7, one);
        assert!(leases.is_held(7));
        leases.end(8, elsewhere);
        assert!(leases.is_held(7) && !leases.is_held(8));
        leases.end(7, other);
        assert!(!leases.is_held(7));
    }

    #[test]
    fn the_last_lease_rings_if_somebody_waits_and_only_then() {
        let (leases, bell) = leases();
        let unexpected = leases.take(7, "one".into());
        leases.end(7, unexpected);
        assert_eq!(bell.rings(), 0);

        let (one, other) = (leases.take(7, "one".into()), leases.take(7, "other".into()));
        assert!(leases.is_held(7));
        leases.end(7, one);
        assert_eq!(bell.rings(), 0, "another one holds it still");
        leases.end(7, other);
        assert_eq!(bell.rings(), 1);
    }

    #[test]
    fn the_holders_are_named_and_the_oldest_is_the_first() {
        let (leases, _) = leases();
        for name in ["first", "second", "third"] {
            leases.take(7, name.into());
        }
        let holders = leases.holders(7);
        let names: Vec<_> = holders.iter().map(|holder| holder.label.as_deref()).collect();
        assert_eq!(names, [Some("first"), Some("second"), Some("third")]);
        assert!(holders.iter().all(|holder| holder.hold == Hold::Lease));
        assert!(holders.is_sorted_by(|one, other| one.age >= other.age));
        assert!(leases.holders(8).is_empty());
    }
}
