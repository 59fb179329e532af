//! A migration: from the state that is running to the one that a candidate works on.
//!
//! Both the functions of the old type and those of the new one are in one library, the *converter*: the candidate's in
//! an upgrade, the running version's in a downgrade. What happens before calls see anything of it:
//!
//! 1. **check** ([`Migration::check`]): the state, without its large collections, is copied by way of its bytes, and
//!    the copy is migrated. Then a copy of each shard of each collection is. Calls go on meanwhile. A value that can't
//!    be migrated ends it here;
//! 2. **flip** ([`Migration::flip`]), within a [hand-over](crate::call::HandOver): the state itself is migrated, and its
//!    collections are turned over. If that fails after all, it is put together again from its bytes and its
//!    collections.
//!
//! What is in the collections, the [sweep](super::sweep) and the calls migrate afterwards.

use liveswap_state::sharded::{Flips, Handle};
use liveswap_state::table::{Captured, Origin, StateTable, Step};
use liveswap_state::{CodecError, Fenced, MigrateError};
use std::sync::Arc;
use thiserror::Error;

use super::library::Library;
use super::pace::Pace;
use super::progress::Progress;
use crate::call::{Footprint, StatePointer};
use crate::host::hook::{self, Hooks, NoResult};
use crate::status::MigrationStage;

/// Why the state couldn't be handed over to a candidate of another shape.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// A value of it can't be migrated.
    #[error("the state can't be migrated: {reason}: mend the migration, or the value, and push again")]
    Failed {
        /// Why, as the migration tells.
        reason: String,
    },
    /// There was no moment without a call in the state.
    #[error(
        "tried {attempts} times in {waited_ms} ms to have no call in the state for a moment: {holders}: push again \
         when they have returned, or raise `pause_max`; a method that doesn't touch the state shouldn't take it"
    )]
    PauseMissed {
        /// How often it was tried.
        attempts: u32,
        /// For how long, in milliseconds.
        waited_ms: u64,
        /// Who was in the way the last time.
        holders: String,
    },
    /// There is no state that a rollback could take along.
    #[error("the state was lost in an earlier migration: push a version, which begins with another one")]
    Lost,
    /// The system gives no thread for what has to be done afterwards.
    #[error("can't start the sweeper's thread: {0}: raise the limit of threads")]
    NoThread(std::io::Error),
    /// A value's migration hasn't returned.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        Self::Failed { reason: error.to_string() }
    }
}

impl From<CodecError> for MigrationError {
    fn from(error: CodecError) -> Self {
        Self::Failed { reason: error.to_string() }
    }
}

/// The functions that lead from one type of state to another, step by step.
#[derive(Clone)]
pub(super) struct Migration {
    pub(super) from: StateTable,
    pub(super) to: StateTable,
    steps: Vec<Step>,
}

/// A state that was migrated, and what it takes to take that back.
pub(super) struct Flipped {
    pub(super) state: StatePointer,
    flips: Flips,
    /// The state as it was.
    captured: Captured,
}

impl Flipped {
    /// It isn't taken back any more. Gives the collections whose shards are to be migrated; and the old state's, since
    /// those that aren't in the new one are dropped with these.
    pub(super) fn keep(self) -> (Vec<Handle>, Vec<Handle>) {
        (self.flips.into_handles(), self.captured.collections)
    }
}

/// A flip that has failed.
pub(super) struct NotFlipped {
    /// The state as it was, perhaps at another address; none if it's lost.
    pub(super) state: Option<*mut ()>,
    pub(super) error: MigrationError,
}

impl Migration {
    /// To the candidate's state, from the one that came so many steps before it.
    pub(super) fn upgrade(candidate: &Library, steps: usize) -> Self {
        let to = candidate.entry().state;
        let origins = Self::origins(&to, steps);
        let from = origins.last().map_or(to, |origin| origin.table);
        let steps = origins.iter().rev().map(|origin| origin.upgrade).collect();
        Self { from, to, steps }
    }

    /// From the running version's state, to the one that came so many steps before it.
    pub(super) fn downgrade(running: &Library, steps: usize) -> Self {
        let from = running.entry().state;
        let origins = Self::origins(&from, steps);
        let to = origins.last().map_or(from, |origin| origin.table);
        let steps = origins
            .iter()
            .map(|origin| origin.downgrade.expect("what has no way back was refused before"))
            .collect();
        Self { from, to, steps }
    }

    /// The latest first.
    fn origins(table: &StateTable, count: usize) -> Vec<&'static Origin> {
        let origins = std::iter::successors(table.origin, |origin| origin.table.origin);
        origins.take(count).collect()
    }

    /// Tries the whole of it out on copies. `captured` is of the state, as it was a moment ago.
    ///
    /// It takes its time. But a value whose migration doesn't return within the hooks' deadline ends it.
    pub(super) fn check(
        &self,
        hooks: &Hooks,
        converter: &Arc<Footprint>,
        captured: Captured,
        progress: &Arc<Progress>,
    ) -> Result<(), MigrationError> {
        let shards = captured.collections.iter().map(Handle::count).sum();
        progress.begin(MigrationStage::Checking, shards);
        let check = {
            let (migration, progress) = (self.clone(), progress.clone());
            move || migration.try_out(&captured, &progress)
        };
        let mut done = 0;
        let moves = || {
            let before = std::mem::replace(&mut done, progress.status().done);
            done > before
        };
        hooks.run_while(converter, "migrate", check, drop, moves)?
    }

    fn try_out(&self, captured: &Captured, progress: &Progress) -> Result<(), MigrationError> {
        let trial = unfence((self.from.revive)(&captured.bytes, None))??;
        let flips = Flips::new();
        let migrated = self.walk(trial.state, &flips)?;
        // SAFETY: a state of this type, which was made here for nobody else.
        unfence(unsafe { (self.to.destroy)(migrated) })?;
        let mut pace = Pace::new();
        for (collection, trial) in captured.collections.iter().zip(&trial.collections) {
            let mut index = 0;
            // It may grow meanwhile, and then some of what a shard had is in one further on.
            while index < collection.count() {
                collection.check(index, trial)?;
                progress.step();
                pace.step();
                index += 1;
            }
        }
        Ok(())
    }

    /// Migrates the state. From here on calls can use it once [`Flipped::keep`] was called.
    ///
    /// # Safety
    ///
    /// The address is of a state of the type [`from`](Self::from), and nobody is in it.
    pub(super) unsafe fn flip(&self, converter: &Footprint, state: *mut ()) -> Result<Flipped, NotFlipped> {
        hook::call(converter, "migrate", || {
            // SAFETY: as the caller vouches.
            let captured = unfence(unsafe { (self.from.capture)(state) });
            let captured = captured.and_then(|captured| Ok(captured?));
            let captured = captured.map_err(|error| NotFlipped { state: Some(state), error })?;
            let flips = Flips::new();
            match self.walk(state, &flips) {
                Ok(state) => Ok(Flipped { state: StatePointer(state), flips, captured }),
                Err(error) => Err(NotFlipped { state: self.put_together(flips, &captured), error }),
            }
        })
    }

    /// Takes a migration of the state back, of which nothing was kept yet. Gives the state as it was; none if it's lost.
    ///
    /// # Safety
    ///
    /// `flipped` is what [`flip`](Self::flip) has given, and nobody has been in the state since.
    pub(super) unsafe fn undo(&self, converter: &Footprint, flipped: Flipped) -> Option<*mut ()> {
        let Flipped { state, flips, captured } = flipped;
        hook::call(converter, "migrate", || {
            // What panics there was logged when it did. What it left of that state is lost, but not what it's put
            // together from.
            // SAFETY: the state is of this type, and nobody uses it any more.
            let _ = unsafe { (self.to.destroy)(state.0) };
            self.put_together(flips, &captured)
        })
    }

    /// The state as it was before the flips. What they have made is gone.
    fn put_together(&self, flips: Flips, captured: &Captured) -> Option<*mut ()> {
        flips.undo();
        let again = unfence((self.from.revive)(&captured.bytes, Some(&captured.collections)));
        again.ok().and_then(Result::ok).map(|revived| revived.state)
    }

    /// Takes a state through all steps.
    pub(super) fn walk(&self, mut state: *mut (), flips: &Flips) -> Result<*mut (), MigrationError> {
        for step in &self.steps {
            // SAFETY: each step gets what the one before has made, and the first what `from` describes, which is the
            // caller's to give.
            state = unfence(unsafe { step(state, flips) })??;
        }
        Ok(state)
    }
}

/// The state's bytes at one moment, and its collections.
///
/// # Safety
///
/// The address is of a state of the table's type, which nobody has alone.
pub(super) unsafe fn capture(
    converter: &Footprint,
    table: &StateTable,
    state: *const (),
) -> Result<Captured, MigrationError> {
    // SAFETY: as the caller vouches.
    Ok(unfence(hook::call(converter, "capture", || unsafe { (table.capture)(state) }))??)
}

pub(super) fn unfence<R>(fenced: Fenced<R>) -> Result<R, MigrationError> {
    fenced.map_err(|panic| MigrationError::Failed {
        reason: format!("it panicked at {}: {}", panic.location, panic.message),
    })
}
