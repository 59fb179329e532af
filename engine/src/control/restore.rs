//! Beginning with a snapshot: what a process before this one has left of the state.
//!
//! The snapshot may be of a schema that the version came from: then it's migrated here, all of it, before the version
//! serves anybody. Nothing is left to be done later, and what can't be migrated is told at once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use liveswap_state::sharded::{Flips, Handle};
use liveswap_state::table::StateTable;
use thiserror::Error;

use super::library::Library;
use super::migration::{Migration, MigrationError, unfence};
use crate::call::StatePointer;
use crate::candidate::StateManifest;
use crate::host::hook::{self, Hooks, NoResult};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::format::ROOT;
use crate::snapshot::intact::{Blocks, Intact};

/// Why a version can't begin with a snapshot that is there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A snapshot can't be read. It isn't known to be damaged, so no older one takes its place.
    #[error(transparent)]
    Unreadable(#[from] SnapshotError),
    /// It is of a state that the version can't take over.
    #[error(
        "found a snapshot of schema {found_schema}, fingerprint {found}, in {path}; expected {expected}: push a version \
         for that state, or one that can be migrated from it; or move the snapshots elsewhere to begin anew",
        path = path.display()
    )]
    OtherState {
        /// The snapshot.
        path: PathBuf,
        /// The version of its schema.
        found_schema: u32,
        /// Its fingerprint.
        found: String,
        /// What the version works on.
        expected: String,
    },
    /// It is whole, and yet no state can be made of it.
    #[error("can't make the state of {path}: {reason}: mend the migration, or push another version", path = path.display())]
    Unusable {
        /// The snapshot.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A value's migration hasn't returned.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

/// Makes the state of a snapshot that is intact, as the type that the library works on. It takes its time; but a part
/// that isn't made within the hooks' deadline ends it.
pub(super) fn restore(
    hooks: &Hooks,
    library: &Library,
    manifest: &StateManifest,
    mut snapshot: Intact,
) -> Result<StatePointer, RestoreError> {
    let migration = way(library, manifest, &snapshot)?;
    let destroy = migration.to.destroy;
    let parts = Arc::new(AtomicUsize::new(0));
    let make = {
        let parts = parts.clone();
        move || {
            let step = || {
                // Relaxed: a count, on the strength of which nothing is read.
                parts.fetch_add(1, Ordering::Relaxed);
            };
            make(&migration, &mut snapshot, &step)
        }
    };
    let late = move |made: Result<StatePointer, RestoreError>| {
        if let Ok(state) = made {
            // A panic was logged when it happened.
            // SAFETY: it was made just now, of the type that the migration leads to, and nobody else has it.
            let _ = unsafe { destroy(state.0) };
        }
    };
    let mut before = 0;
    let moves = || std::mem::replace(&mut before, parts.load(Ordering::Relaxed)) < before;
    hooks.run_while(library.footprint(), "restore", make, late, moves)?
}

/// The same on this thread, where nobody waits for it in vain: in a rehearsal's process.
pub(super) fn restore_here(
    library: &Library,
    manifest: &StateManifest,
    snapshot: &mut Intact,
) -> Result<StatePointer, RestoreError> {
    let migration = way(library, manifest, snapshot)?;
    hook::call(library.footprint(), "restore", || make(&migration, snapshot, &|| {}))
}

/// The migration from the state in the snapshot to the one that the library works on.
fn way(library: &Library, manifest: &StateManifest, snapshot: &Intact) -> Result<Migration, RestoreError> {
    let label = snapshot.header().label;
    let tables =
        std::iter::successors(Some(library.entry().state), |table| table.origin.map(|origin| origin.table));
    let path = snapshot.path().to_owned();
    let Some(steps) =
        tables.take(TABLES_MAX).position(|table| table.fingerprint.to_bytes() == label.fingerprint)
    else {
        let found = u128::from_le_bytes(label.fingerprint);
        let expected = format!("schema {}, fingerprint {}", manifest.schema, manifest.fingerprint);
        let (found, found_schema) = (format!("{found:032x}"), label.schema);
        return Err(RestoreError::OtherState { path, found_schema, found, expected });
    };
    Ok(Migration::upgrade(library, steps))
}

/// `step` is called with each part that is made.
fn make(migration: &Migration, snapshot: &mut Intact, step: &dyn Fn()) -> Result<StatePointer, RestoreError> {
    let path = snapshot.path().to_owned();
    let unusable = |error: &dyn std::fmt::Display| RestoreError::Unusable {
        path: path.clone(),
        reason: error.to_string(),
    };
    let state = Partial::read(&migration.from, snapshot.blocks()?, step).map_err(|error| match error {
        Failed::File(error) => error.into(),
        Failed::Content(error) => unusable(&error),
    })?;
    let made = migrate(migration, state.finish(), step).map_err(|error| unusable(&error))?;
    Ok(StatePointer(made))
}

/// More than any state came from.
const TABLES_MAX: usize = 1024;

enum Failed {
    File(SnapshotError),
    Content(MigrationError),
}

impl From<SnapshotError> for Failed {
    fn from(error: SnapshotError) -> Self {
        Self::File(error)
    }
}

/// A state that isn't all there yet, and is dropped unless it gets to be.
struct Partial {
    state: *mut (),
    destroy: unsafe fn(*mut ()) -> liveswap_state::Fenced<()>,
}

impl Drop for Partial {
    fn drop(&mut self) {
        // A panic was logged when it happened.
        // SAFETY: the state is of the function's type, and nobody else's.
        let _ = unsafe { (self.destroy)(self.state) };
    }
}

impl Partial {
    fn read(table: &StateTable, mut blocks: Blocks<'_>, step: &dyn Fn()) -> Result<Self, Failed> {
        let content = |error: MigrationError| Failed::Content(error);
        let damaged = |what: &str| content(MigrationError::Failed { reason: what.to_owned() });
        let root = blocks.next()?.filter(|block| block.ordinal == ROOT);
        let root = root.ok_or_else(|| damaged("it doesn't begin with the state itself"))?;
        let revived = unfence((table.revive)(root.bytes, None)).and_then(|revived| Ok(revived?));
        let revived = revived.map_err(content)?;
        let partial = Self { state: revived.state, destroy: table.destroy };
        while let Some(block) = blocks.next()? {
            let place = (block.ordinal as usize).checked_sub(1);
            let collection = place.and_then(|place| revived.collections.get(place));
            let collection =
                collection.ok_or_else(|| damaged("it has parts of a collection that isn't there"))?;
            let filled = unfence(collection.fill(block.bytes)).and_then(|filled| Ok(filled?));
            filled.map_err(content)?;
            step();
        }
        Ok(partial)
    }

    fn finish(self) -> *mut () {
        let state = self.state;
        std::mem::forget(self);
        state
    }
}

/// Migrates all of a state that nobody else has.
pub(super) fn migrate(
    migration: &Migration,
    state: *mut (),
    step: &dyn Fn(),
) -> Result<*mut (), MigrationError> {
    let flips = Flips::new();
    let partial = Partial { state: migration.walk(state, &flips)?, destroy: migration.to.destroy };
    let settle = |collection: &Handle| -> Result<(), MigrationError> {
        for index in 0..collection.count() {
            collection.settle(index)?;
            step();
        }
        collection.finish(collection.epoch());
        Ok(())
    };
    flips.into_handles().iter().try_for_each(settle)?;
    Ok(partial.finish())
}

#[cfg(any(test, liveswap_fuzzing))]
pub(super) mod fuzzing;
