//! The shards of a collection: where a key's entry is, and one lock for each few hundred entries.
//!
//! **Growing.** Which shard a key is in follows from its hash and from the number of shards (linear hashing; Litwin,
//! "Linear hashing: a new tool for file and table addressing", 1980). When a shard is full, the collection grows by
//! one shard, which takes half of the entries of one other. So no insertion ever moves more than a shard, and no
//! shard gets much larger than [`FULL`], whatever the collection holds. Whoever locks a shard looks again whether the
//! number of shards still leads there: a split stores the number before it lets go of the two locks.
//!
//! **Settling.** A shard that isn't at the collection's epoch is migrated by whoever locks it next. A shard that a
//! snapshot hasn't seen yet is written down by whoever is about to change it. Both is done under the shard's lock, so
//! each happens once, and what a call waits for is one shard at most.
//!
//! Nothing here knows the types of the entries: see [`Map`].

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::capture::Captures;
use super::map::Map;
use super::steps::{Discard, Next, Steps};
use crate::lock::{read, write};
use crate::{Fingerprint, MigrateError};

/// How many shards a collection begins with, for threads that use it at the same time.
const FIRST: usize = 16;

/// With so many entries, a shard asks for one more shard. It may have to wait for its turn with more than this.
pub(super) const FULL: usize = 200;

/// The first segment has [`FIRST`] shards, and each further one as many as all before it.
const SEGMENTS: usize = 28;

const MOST: usize = FIRST << (SEGMENTS - 1);

#[derive(Debug)]
pub(super) struct Shard {
    /// None as long as it's empty and was never used.
    pub(super) map: Option<Map>,
    epoch: u32,
    /// The last snapshot that has seen it.
    captured: u32,
}

/// What a collection consists of. It belongs to all who refer to it; its entries, to the typed
/// [`Sharded`](super::Sharded) that is dropped last.
#[derive(Debug)]
pub(super) struct Shards {
    hasher: RandomState,
    /// How many shards there are.
    count: AtomicUsize,
    segments: [OnceLock<Box<[RwLock<Shard>]>>; SEGMENTS],
    /// Held, shared, by whoever must see each entry once. Held alone to grow; nobody waits for that.
    growing: RwLock<()>,
    pub(super) steps: Steps,
    pub(super) captures: Captures,
}

/// Why a shard isn't where it ought to be.
enum Unsettled {
    /// The migration that it would follow may still be undone.
    Waiting,
    /// A value of it can't be migrated.
    Failed(MigrateError),
}

impl Shards {
    /// Of a collection with this fingerprint.
    pub(super) fn new(fingerprint: Fingerprint) -> Self {
        let shards = Self {
            hasher: RandomState::new(),
            count: AtomicUsize::new(FIRST),
            segments: [const { OnceLock::new() }; SEGMENTS],
            growing: RwLock::new(()),
            steps: Steps::new(fingerprint),
            captures: Captures::new(),
        };
        shards.segment(0);
        shards
    }

    pub(super) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    pub(super) fn hash(&self, key: &(impl Hash + ?Sized)) -> u64 {
        self.hasher.hash_one(key)
    }

    /// How many shards there are. Acquire: pairs with the Release in `grow_with`.
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The shards of a segment.
    fn segment(&self, number: usize) -> &[RwLock<Shard>] {
        let length = if number == 0 { FIRST } else { FIRST << (number - 1) };
        let empty = || RwLock::new(Shard { map: None, epoch: Steps::START, captured: 0 });
        self.segments[number].get_or_init(|| (0..length).map(|_| empty()).collect())
    }

    fn lane(&self, index: usize) -> &RwLock<Shard> {
        let number = (index / FIRST).checked_ilog2().map_or(0, |bits| bits as usize + 1);
        let first = if number == 0 { 0 } else { FIRST << (number - 1) };
        &self.segment(number)[index - first]
    }

    pub(super) fn read(&self, index: usize) -> RwLockReadGuard<'_, Shard> {
        // A call that panicked with the lock held has left the entry that it changed half changed, and nothing else.
        read(self.lane(index))
    }

    pub(super) fn write(&self, index: usize) -> RwLockWriteGuard<'_, Shard> {
        write(self.lane(index))
    }

    /// Locks the shard with this hash, to look.
    #[inline]
    pub(super) fn read_at(&self, hash: u64) -> RwLockReadGuard<'_, Shard> {
        loop {
            let index = index(hash, self.count());
            let shard = self.read(index);
            if index != self::index(hash, self.count()) {
                continue;
            }
            if shard.epoch == self.steps.epoch() {
                return shard;
            }
            drop(shard);
            // It may be split before it's locked again; so it is looked for again.
            self.settle_for_call(&mut self.write(index));
        }
    }

    /// Locks the shard with this hash, to change it.
    #[inline]
    pub(super) fn write_at(&self, hash: u64) -> RwLockWriteGuard<'_, Shard> {
        loop {
            let index = index(hash, self.count());
            let mut shard = self.write(index);
            if index == self::index(hash, self.count()) {
                self.settle_for_call(&mut shard);
                self.capture(&mut shard);
                return shard;
            }
        }
    }

    /// Locks each shard in turn, to look. Each entry is seen once, whatever is inserted meanwhile.
    pub(super) fn each(&self, mut look: impl FnMut(&Shard)) {
        let _growing = read(&self.growing);
        for index in 0..self.count() {
            let mut shard = self.read(index);
            while shard.epoch != self.steps.epoch() {
                drop(shard);
                self.settle_for_call(&mut self.write(index));
                shard = self.read(index);
            }
            look(&shard);
        }
    }

    /// The same, to change them.
    pub(super) fn each_mut(&self, mut change: impl FnMut(&mut Shard)) {
        let _growing = read(&self.growing);
        for index in 0..self.count() {
            let mut shard = self.write(index);
            self.settle_for_call(&mut shard);
            self.capture(&mut shard);
            change(&mut shard);
        }
    }

    /// Whether a locked shard is one of a collection with this fingerprint.
    pub(super) fn fits(&self, shard: &Shard, fingerprint: Fingerprint) -> bool {
        self.steps.fits(shard.epoch, fingerprint)
    }

    /// Migrates a shard whose turn it is.
    ///
    /// # Panics
    ///
    /// If a value of it can't be migrated. It stays as it was. Or if the migration of the state that it's in hasn't
    /// ended, and so may still be undone.
    #[inline]
    fn settle_for_call(&self, shard: &mut Shard) {
        if shard.epoch != self.steps.epoch() {
            match self.settle(shard) {
                Ok(_) => {}
                Err(Unsettled::Waiting) => panic!(
                    "a migration can't use what is in a `Sharded` that it has migrated: use it before, or in a call"
                ),
                Err(Unsettled::Failed(error)) => {
                    panic!("a part of the state that this call needs can't be migrated: {error}")
                }
            }
        }
    }

    /// Migrates a shard whose turn it is. On an error it stays as it was. True if there was anything to do.
    #[cold]
    fn settle(&self, shard: &mut Shard) -> Result<bool, Unsettled> {
        let before = shard.epoch;
        loop {
            let (convert, epoch) = match self.steps.next(shard.epoch) {
                Next::Nothing => return Ok(shard.epoch != before),
                Next::Wait => return Err(Unsettled::Waiting),
                Next::Convert(convert, epoch) => (convert, epoch),
            };
            if let Some(map) = shard.map {
                // SAFETY: the map is of the types that a collection has at the shard's epoch, and this is the only
                // reference to it: the shard is locked.
                match unsafe { convert(map) } {
                    Ok(next) => shard.map = Some(next),
                    Err((same, error)) => {
                        shard.map = Some(same);
                        return Err(Unsettled::Failed(error));
                    }
                }
            }
            shard.epoch = epoch;
        }
    }

    /// Migrates the shard with this number. True if there was anything to do.
    ///
    /// # Errors
    ///
    /// If a value of it can't be migrated. It stays as it was.
    pub(super) fn settle_shard(&self, index: usize) -> Result<bool, MigrateError> {
        if index >= self.count() || self.read(index).epoch == self.steps.epoch() {
            return Ok(false);
        }
        match self.settle(&mut self.write(index)) {
            Ok(is_changed) => Ok(is_changed),
            // Its turn comes later.
            Err(Unsettled::Waiting) => Ok(false),
            Err(Unsettled::Failed(error)) => Err(error),
        }
    }

    /// Forgets how shards were migrated, if all are where they ought to be, and the epoch wasn't moved since it had
    /// moved so often.
    pub(super) fn finish(&self, moves: u32) -> bool {
        let epoch = self.steps.epoch();
        (0..self.count()).all(|index| self.read(index).epoch == epoch) && self.steps.finish(moves)
    }

    /// Writes a shard down for a snapshot that hasn't seen it yet.
    #[inline]
    fn capture(&self, shard: &mut Shard) {
        let latest = self.captures.latest();
        if shard.captured != latest {
            self.captures.take(shard.map, |fingerprint| self.fits(shard, fingerprint));
            shard.captured = latest;
        }
    }

    /// Writes the shard with this number down, unless a call has done so.
    pub(super) fn capture_shard(&self, index: usize) {
        if index >= self.count() {
            return;
        }
        let mut shard = self.write(index);
        if shard.captured != self.captures.latest() {
            // If that fails, the snapshot tells that the shard doesn't fit.
            let _ = self.settle(&mut shard);
            self.capture(&mut shard);
        }
    }

    /// One more shard. `split` gets the map of the shard that is divided, and tells by a key's hash whether its entry
    /// goes; it gives the map of the new one.
    ///
    /// If somebody else is about it, or must see each entry once, nothing happens: the next insertion will ask again.
    pub(super) fn grow_with(&self, split: impl FnOnce(Map, &dyn Fn(u64) -> bool) -> Map) {
        let Ok(_growing) = self.growing.try_write() else { return };
        let new = self.count();
        if new == MOST {
            return;
        }
        let parent = new - (1 << new.ilog2());
        let mut from = self.write(parent);
        // What can't be migrated can't be divided either. Whoever touches it next says so.
        if self.settle(&mut from).is_err() {
            return;
        }
        self.capture(&mut from);
        let mut to = self.write(new);
        to.map = from.map.map(|map| split(map, &|hash| index(hash, new + 1) == new));
        (to.epoch, to.captured) = (from.epoch, from.captured);
        // Release: pairs with `count`. Whoever locks one of the two afterwards sees it.
        self.count.store(new + 1, Ordering::Release);
    }

    /// Drops the maps, for the last owner.
    ///
    /// # Safety
    ///
    /// `own` drops maps of a collection with this fingerprint.
    pub(super) unsafe fn discard_all(self, fingerprint: Fingerprint, own: Discard) {
        for index in 0..self.count() {
            let mut shard = self.write(index);
            let (epoch, map) = (shard.epoch, shard.map.take());
            drop(shard);
            let Some(map) = map else { continue };
            // What nobody knows how to drop is left where it is.
            if let Some(discard) = self.steps.discard(epoch, fingerprint, own) {
                // SAFETY: the map is of the types of its epoch, and was taken out.
                unsafe { discard(map) };
            }
        }
    }
}

/// The shard of so many that a hash leads to.
#[inline]
fn index(hash: u64, count: usize) -> usize {
    let whole = 1 << count.ilog2();
    // The shards themselves look at the other bits.
    let place = hash as usize & (2 * whole - 1);
    if place < count { place } else { place - whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shard_more_takes_from_one_other() {
        for count in FIRST..200 {
            let parent = count - (1 << count.ilog2());
            for hash in 0..10_000_u64 {
                let (before, after) = (index(hash, count), index(hash, count + 1));
                assert!(before < count);
                assert!(before == after || (before, after) == (parent, count), "{hash} of {count}");
            }
        }
    }

    #[test]
    fn each_shard_has_a_place_of_its_own() {
        let shards = Shards::new(Fingerprint::of("test"));
        let mut places = std::collections::BTreeSet::new();
        for index in 0..5 * FIRST {
            assert!(places.insert(std::ptr::from_ref(shards.lane(index)).addr()));
        }
    }
}
