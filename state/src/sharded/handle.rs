//! Handles: a collection as the engine has it, with the functions that know its types.
//!
//! The engine sweeps collections, tries migrations out on copies of their shards, and writes them into snapshots. It
//! doesn't know what is in them; the version whose code made the handle does, and must stay mapped as long as the
//! handle is there.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::capture::Blocks;
use super::map::{self, Map};
use super::shards::Shards;
use super::steps::{Flipped, Step};
use crate::fence::Fenced;
use crate::{CodecError, Encoder, Fingerprint, MigrateError};

type Fill = unsafe fn(&Arc<Shards>, &[u8]) -> Fenced<Result<(), CodecError>>;

/// What a version knows of one type of collections.
///
/// A handle may be older than the last flip of its collection. Then its table doesn't fit, until that is taken back:
/// whatever calls the table's functions has compared the fingerprints before.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) fingerprint: Fingerprint,
    /// Lets go of the collection; the last owner drops the entries, if anybody knows how.
    pub(super) release: fn(Arc<Shards>),
    pub(super) encode: unsafe fn(Map, &mut Encoder) -> Fenced<()>,
    pub(super) decode: fn(&[u8]) -> Fenced<Result<Map, CodecError>>,
    pub(super) discard: unsafe fn(Map),
    pub(super) fill: Fill,
}

/// A collection, and the functions of its type.
#[derive(Debug)]
pub struct Handle {
    shards: ManuallyDrop<Arc<Shards>>,
    table: &'static Table,
}

impl Handle {
    /// `table` must fit the collection, as it is now.
    pub(super) fn new(shards: Arc<Shards>, table: &'static Table) -> Self {
        Self { shards: ManuallyDrop::new(shards), table }
    }

    pub(super) fn shards(&self) -> &Arc<Shards> {
        &self.shards
    }

    /// Whether it's a collection of the types that `other` is of.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.table.fingerprint == other.table.fingerprint && self.shards.steps.is_of(other.table.fingerprint)
    }

    /// Whether both are the same collection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shards, &other.shards)
    }

    /// How many shards it has. The number grows, and a new shard has entries of one with a lower number: who goes
    /// through all of them asks again after each.
    pub fn count(&self) -> usize {
        self.shards.count()
    }

    /// Migrates the shard with this number. True if there was anything to do. As long as the migration may still be
    /// [undone](super::Flips::undo), there is nothing to do.
    ///
    /// # Errors
    ///
    /// If a value of it can't be migrated. It stays as it was.
    pub fn settle(&self, index: usize) -> Result<bool, MigrateError> {
        self.shards.settle_shard(index)
    }

    /// How often it was flipped: for [`finish`](Self::finish).
    pub fn epoch(&self) -> u32 {
        self.shards.steps.moves()
    }

    /// All shards were settled since the epoch was read: forgets how. False if some weren't, or if it was flipped since.
    pub fn finish(&self, epoch: u32) -> bool {
        self.shards.finish(epoch)
    }

    /// Takes a flip back.
    pub(super) fn undo(&self, flipped: Flipped) {
        self.shards.steps.undo(flipped);
    }

    /// A flip won't be taken back any more.
    pub(super) fn let_go(&self) {
        self.shards.steps.let_go();
    }

    /// Tries the migration of `trial`, an empty copy of this collection that was migrated, on a copy of the shard with
    /// this number. Calls wait no longer than it takes to write the shard down.
    ///
    /// # Errors
    ///
    /// If a value of it can't be migrated.
    pub fn check(&self, index: usize, trial: &Self) -> Result<(), MigrateError> {
        let steps = trial.shards.steps.forward();
        // Another collection's aren't tried.
        if steps.first().is_none_or(|first| first.from != self.table.fingerprint) || index >= self.count() {
            return Ok(());
        }
        let mut encoder = Encoder::new();
        {
            let shard = self.shards.read(index);
            // One that is still on its way here goes back as it is.
            let fits = self.shards.fits(&shard, self.table.fingerprint);
            let Some(map) = shard.map.filter(|_| fits) else { return Ok(()) };
            // SAFETY: the shard fits, so its map is of the table's types; it's locked.
            unsafe { (self.table.encode)(map, &mut encoder) }.map_err(|panic| map::panicked(&panic))?;
        }
        let bytes = encoder.finish().map_err(|error| error.to_string())?;
        let copy = match (self.table.decode)(&bytes) {
            Ok(Ok(copy)) => copy,
            Ok(Err(error)) => return Err(error.to_string().into()),
            Err(panic) => return Err(map::panicked(&panic)),
        };
        self.try_steps(copy, &steps)
    }

    /// Takes a map of this collection's types through the steps, and drops it.
    fn try_steps(&self, mut map: Map, steps: &[Step]) -> Result<(), MigrateError> {
        let mut discard = self.table.discard;
        let mut outcome = Ok(());
        for step in steps {
            let Some(convert) = step.convert else { break };
            // SAFETY: the map is of the types that the steps before have made, and it's nobody else's.
            match unsafe { convert(map) } {
                Ok(next) => (map, discard) = (next, step.discard_to),
                Err((same, error)) => {
                    (map, outcome) = (same, Err(error));
                    break;
                }
            }
        }
        // SAFETY: as above, for the types of the last step that was taken.
        unsafe { discard(map) };
        outcome
    }

    /// Begins a snapshot of it as it is now. No call may be inside, and no other snapshot of it under way. If it's
    /// flipped before the end, the snapshot fails.
    ///
    /// # Safety
    ///
    /// The code that made this handle must stay until [`end_capture`](Self::end_capture).
    pub unsafe fn begin_capture(&self, ordinal: u32, blocks: Arc<Blocks>) {
        let Table { fingerprint, encode, .. } = *self.table;
        // SAFETY: the function fits the fingerprint; it stays, as the caller vouches.
        unsafe { self.shards.captures.begin(fingerprint, encode, ordinal, blocks) };
    }

    /// Writes the shard with this number down, unless a call has done so.
    pub fn capture(&self, index: usize) {
        self.shards.capture_shard(index);
    }

    /// Has the encoder take all entries. What is still on its way from or to another type can't be.
    pub(crate) fn add_entries(&self, encoder: &mut Encoder) {
        for index in 0..self.count() {
            let shard = self.shards.read(index);
            let Some(map) = shard.map else { continue };
            if !self.shards.fits(&shard, self.table.fingerprint) {
                return encoder.refuse("a Sharded that is being migrated");
            }
            // SAFETY: the shard fits, so its map is of the table's types; it's locked.
            if unsafe { (self.table.encode)(map, encoder) }.is_err() {
                return encoder.refuse("a Sharded with an entry that panics");
            }
        }
    }

    /// Ends the snapshot, finished or not.
    pub fn end_capture(&self) {
        self.shards.captures.end();
    }

    /// Adds the entries that were written down of a shard.
    ///
    /// # Errors
    ///
    /// If the bytes aren't those of entries of this collection's types, or the handle was made before a flip.
    pub fn fill(&self, bytes: &[u8]) -> Fenced<Result<(), CodecError>> {
        if !self.shards.steps.is_of(self.table.fingerprint) {
            return Ok(Err(CodecError::Bad { expected: "entry" }));
        }
        // SAFETY: the function is of this collection's types.
        unsafe { (self.table.fill)(&self.shards, bytes) }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self { shards: self.shards.clone(), table: self.table }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: taken once.
        (self.table.release)(unsafe { ManuallyDrop::take(&mut self.shards) });
    }
}
