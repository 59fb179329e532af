//! The steps that the state takes: tried on copies, then handed over between two calls.
//!
//! If the candidate works on the state as it is, neither has anything to do. Else what is done is in
//! [`migration`](super::super::migration), and when, here. Whether there is a moment without a call in the state isn't
//! the engine's to decide: it's tried again and again, each time for no longer than `pause_max`, with ten times as long
//! between, and given up after `hand_over_deadline`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use liveswap_state::sharded::Handle;

use super::super::migration::{Flipped, Migration, MigrationError, NotFlipped, capture};
use super::super::progress::Progress;
use super::super::sweep::Sweep;
use super::super::{Asker, Settings};
use super::{Loaded, Module, micros};
use crate::call::{Footprint, HandOver, Holding, StatePointer, Version};
use crate::candidate::state::{Way, way};
use crate::engine::Migrated;
use crate::error::PushError;
use crate::lock::lock;
use crate::probation::Reason;
use crate::status::MigrationStage;
use crate::tell::tell;

/// What becomes of the migration of a set's member if another one can't be swapped.
const CALLED_OFF: &str = "the swap of its set was called off";

/// A migration that this swap needs.
pub(super) struct Needed {
    migration: Migration,
    /// The library whose functions it calls.
    converter: Arc<Footprint>,
    progress: Arc<Progress>,
}

/// What is left to do of a hand-over once its version is published.
pub(super) struct HandedOver {
    hand_over: HandOver,
    closed_at: Instant,
    attempts: u32,
    needed: Needed,
    sweep: Sweep,
    flipped: Flipped,
}

impl Module {
    pub(super) fn is_migrating(&self) -> bool {
        self.needed.is_some() || self.handed_over.is_some()
    }

    /// What the swap needs that is under way: its candidate is staged, or is the standby.
    fn needs(&self) -> Result<Option<Needed>, PushError> {
        let (library, manifest, footprint) = match (&self.staged, self.standby()) {
            (Some(staged), _) => {
                let library = staged.library.as_ref().expect("it was loaded");
                (library, &staged.readable.manifest.state, &staged.footprint)
            }
            // Nobody made one for it, as `prepare` does for a candidate.
            (None, Some(_)) if self.state.is_none() => return Err(MigrationError::Lost.into()),
            (None, Some(Loaded { library, manifest, footprint, .. })) => {
                (library, &manifest.state, footprint)
            }
            (None, None) => return Ok(None),
        };
        let (Some(state), Some(active)) = (&self.state, self.active()) else { return Ok(None) };
        let (migration, converter) = match way(manifest, &state.manifest)? {
            Way::InPlace => return Ok(None),
            Way::Upgrade { steps, .. } => (Migration::upgrade(library, steps), footprint.clone()),
            Way::Downgrade { steps } => {
                (Migration::downgrade(&active.library, steps), active.footprint.clone())
            }
        };
        let progress = Progress::new(migration.from.schema, migration.to.schema);
        Ok(Some(Needed { migration, converter, progress }))
    }

    /// Tries the migration on copies, if there is one.
    pub(super) fn check(&mut self, settings: &Settings) -> Result<(), PushError> {
        self.needed = self.needs()?;
        if self.needed.is_some() {
            self.cancel_snapshot();
        }
        let Some(needed) = &self.needed else { return Ok(()) };
        // Until then the board shows the one before.
        self.wait_for_sweep(needed, settings)?;
        lock(&self.board).migration = Some(needed.progress.clone());
        let outcome = self.check_needed(needed, settings);
        self.note_failure(outcome)
    }

    /// Waits for what the migration before has left. Falling back turns that one back, and needn't wait.
    fn wait_for_sweep(&self, needed: &Needed, settings: &Settings) -> Result<(), PushError> {
        let Some(sweep) = &self.sweep else { return Ok(()) };
        let falls_back = self.staged.is_none() && Arc::ptr_eq(&sweep.converter, &needed.converter);
        if falls_back || sweep.wait(Instant::now().checked_add(settings.sweep_deadline)) {
            return Ok(());
        }
        let module = self.name();
        let waits_for = if sweep.is_stuck() {
            format!(
                "the last migration of module `{module}` is stuck at a value that can't be migrated (see its status)"
            )
        } else {
            format!("the state of module `{module}` is still being migrated")
        };
        Err(PushError::Busy { waits_for })
    }

    fn check_needed(&self, needed: &Needed, settings: &Settings) -> Result<(), PushError> {
        let Needed { migration, converter, progress } = needed;
        let pointer = self.state.as_ref().expect("there is one to migrate").pointer.0;
        let captured = self.retry(settings, |deadline| {
            // SAFETY: the state is of this type, and nobody is in it.
            let capture = || unsafe { capture(converter, &migration.from, pointer) };
            let captured = self.path.alone_by(deadline, capture).ok_or_else(|| self.path.in_the_state());
            captured.inspect_err(|holders| progress.missed(self.path.methods, holders.clone()))
        })??;
        Ok(migration.check(&settings.hooks, converter, captured, progress)?)
    }

    /// Has the state become the candidate's, if it isn't yet. From then on no call gets in until the candidate is
    /// published.
    pub(super) fn hand_over(&mut self, settings: &Settings) -> Result<(), PushError> {
        let Some(needed) = self.needed.take() else { return Ok(()) };
        let outcome = self.hand_over_needed(needed, settings);
        self.note_failure(outcome)
    }

    fn hand_over_needed(&mut self, needed: Needed, settings: &Settings) -> Result<(), PushError> {
        let Needed { migration, converter, progress } = &needed;
        progress.begin(MigrationStage::HandingOver, 0);
        let sweep = self.sweep_for(converter, progress, settings)?;
        let from = self.callable().expect("there is an active version");
        let (mut closed_at, mut attempts) = (Instant::now(), 0);
        let begun = self.retry(settings, |deadline| {
            (closed_at, attempts) = (Instant::now(), attempts + 1);
            let begun = HandOver::begin(&self.path, &from, deadline);
            begun.inspect_err(|holders| progress.missed(self.path.methods, holders.clone()))
        });
        let hand_over = match begun {
            Ok(hand_over) => hand_over,
            Err(error) => {
                self.keep_running(sweep);
                return Err(error);
            }
        };
        let state = self.state.as_mut().expect("there is one to migrate");
        // SAFETY: the state is of this type, and the hand-over has it alone.
        match unsafe { migration.flip(converter, state.pointer.0) } {
            Ok(flipped) => {
                state.pointer = flipped.state;
                state.generation += 1;
                let handed_over = HandedOver { hand_over, closed_at, attempts, needed, sweep, flipped };
                self.handed_over = Some(handed_over);
                Ok(())
            }
            Err(NotFlipped { state: Some(same), error }) => {
                state.pointer = StatePointer(same);
                hand_over.publish(self.callable().expect("as above"));
                self.keep_running(sweep);
                Err(error.into())
            }
            Err(NotFlipped { state: None, error }) => {
                self.lose_state(hand_over);
                Err(error.into())
            }
        }
    }

    fn lose_state(&mut self, hand_over: HandOver) {
        self.state = None;
        self.first_generation = hand_over.give_up();
        self.path.suspicions.clear();
        let what =
            "the state is lost: neither the migration nor the way back from it did what it did on a copy";
        tell(|| tracing::error!(module = self.name(), "{what}"));
    }

    /// A migration that was checked isn't carried out.
    pub(super) fn forget_migration(&mut self) {
        if let Some(Needed { progress, .. }) = self.needed.take() {
            progress.end(MigrationStage::Failed, Some(CALLED_OFF.to_owned()));
        }
    }

    /// Takes a hand-over back of which nothing was published yet, if there was one: the state becomes what it was.
    pub(super) fn take_hand_over_back(&mut self) {
        let Some(HandedOver { hand_over, needed, sweep, flipped, .. }) = self.handed_over.take() else {
            return;
        };
        let Needed { migration, converter, progress } = needed;
        // SAFETY: it was flipped by this migration, and the hand-over has the state alone ever since.
        match unsafe { migration.undo(&converter, flipped) } {
            Some(same) => {
                let state = self.state.as_mut().expect("it was handed over");
                (state.pointer, state.generation) = (StatePointer(same), state.generation - 1);
                hand_over.publish(self.callable().expect("there is an active version"));
                self.keep_running(sweep);
            }
            None => self.lose_state(hand_over),
        }
        progress.end(MigrationStage::Failed, Some(CALLED_OFF.to_owned()));
    }

    /// The version is published with the state that was made for it; and what is left to be migrated begins to be.
    pub(super) fn finish_hand_over(
        &mut self,
        handed_over: HandedOver,
        version: Arc<Version>,
        settings: &Settings,
    ) {
        let HandedOver { hand_over, closed_at, attempts, needed, sweep, flipped } = handed_over;
        let (collections, leftovers) = flipped.keep();
        hand_over.publish(version);
        let pause_us = micros(closed_at.elapsed());
        let Needed { migration, progress, .. } = needed;
        progress.handed_over(pause_us);
        self.migrated = Some(Migrated {
            from_schema: migration.from.schema,
            to_schema: migration.to.schema,
            attempts,
            pause_us,
            shards: collections.iter().map(Handle::count).sum::<usize>() as u64,
        });
        sweep.add(collections, leftovers, progress, settings.sweep_deadline);
        self.sweep = Some(sweep);
    }

    /// The sweeper of the migration that is being turned back; or a new one, so that there will be a thread for it.
    fn sweep_for(
        &mut self,
        converter: &Arc<Footprint>,
        progress: &Arc<Progress>,
        settings: &Settings,
    ) -> Result<Sweep, MigrationError> {
        if let Some(sweep) = self.sweep.take_if(|sweep| Arc::ptr_eq(&sweep.converter, converter))
            && sweep.keep()
        {
            return Ok(sweep);
        }
        let wake = settings.wake.clone();
        // If it's full, somebody else has woken the control thread.
        let rests = move || {
            let _ = wake.try_send(());
        };
        Sweep::start(self.name(), converter.clone(), progress.clone(), rests)
            .map_err(MigrationError::NoThread)
    }

    /// The hand-over didn't happen: a sweep that it would have turned back goes on.
    fn keep_running(&mut self, sweep: Sweep) {
        if !sweep.is_waiting() {
            sweep.let_be();
            self.sweep = Some(sweep);
        }
    }

    /// Tries something again and again that needs a moment without a call in the state, each time up to a deadline.
    pub(super) fn retry<R>(
        &self,
        settings: &Settings,
        mut attempt: impl FnMut(Instant) -> Result<R, Vec<Holding>>,
    ) -> Result<R, PushError> {
        const BETWEEN: u32 = 10;
        const BETWEEN_MIN: Duration = Duration::from_millis(1);
        let (started, mut attempts) = (Instant::now(), 0);
        loop {
            attempts += 1;
            let holders = match attempt(Instant::now() + settings.pause_max) {
                Ok(done) => return Ok(done),
                Err(holders) => holders,
            };
            if attempts == 1 {
                let (module, holders) = (self.name(), names(&holders));
                tell(|| tracing::info!(module, holders, "waiting for a moment without a call in the state"));
            }
            let between = (settings.pause_max * BETWEEN).max(BETWEEN_MIN);
            if started.elapsed() + between > settings.hand_over_deadline {
                let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                return Err(
                    MigrationError::PauseMissed { attempts, waited_ms, holders: names(&holders) }.into()
                );
            }
            if settings.ends_within(between) {
                return Err(PushError::Stopped);
            }
        }
    }

    pub(super) fn callable(&self) -> Option<Arc<Version>> {
        Some(self.active()?.callable(self.state.as_ref()?))
    }

    fn note_failure(&self, outcome: Result<(), PushError>) -> Result<(), PushError> {
        if let Err(error) = &outcome
            && let Some(progress) = &lock(&self.board).migration
        {
            progress.end(MigrationStage::Failed, Some(error.to_string()));
        }
        outcome
    }

    /// Whether a rollback takes the state back where the sweep's migration came from. Not if that was a rollback itself,
    /// or if another version was published since.
    fn is_turned_back_by_rollback(&self, sweep: &Sweep) -> bool {
        let (Some(active), Some(standby), Some(state)) = (self.active(), self.standby(), &self.state) else {
            return false;
        };
        let way = way(&standby.manifest.state, &state.manifest);
        Arc::ptr_eq(&sweep.converter, &active.footprint) && matches!(way, Ok(Way::Downgrade { .. }))
    }

    /// If a part of the state turned out not to be migratable, goes back to the predecessor, if there is one.
    pub(super) fn tend_sweep(&mut self, settings: &Settings) {
        if let Some(sweep) = self.sweep.as_ref().filter(|sweep| sweep.take_stuck()) {
            let module = self.name().to_owned();
            if self.is_turned_back_by_rollback(sweep) && self.oversight.defer(Reason::MigrationStuck) {
                return;
            }
            if !self.is_turned_back_by_rollback(sweep) {
                let what = "a part of the state can't be migrated, and no rollback would turn that back: calls that need \
                            it fail";
                tell(|| tracing::error!(module, "{what}"));
                return;
            }
            let rolled_back = self.rollback(Reason::MigrationStuck, settings);
            let asker = Asker::Engine { reason: Some(Reason::MigrationStuck.to_string()) };
            settings.audit.rolled_back(&asker, &module, &rolled_back);
            match rolled_back {
                Ok(published) => {
                    let to = published.swap.to;
                    tell(
                        || tracing::warn!(module, %to, "rolled back: a part of the state can't be migrated"),
                    );
                }
                Err(error) => {
                    let what = "a part of the state can't be migrated, and it can't be rolled back";
                    tell(|| tracing::error!(module, %error, "{what}"));
                }
            }
        }
    }
}

fn names(holders: &[Holding]) -> String {
    let names: Vec<_> = holders.iter().map(|holder| holder.thread.as_str()).collect();
    if names.is_empty() { "nobody at last".to_owned() } else { names.join(", ") }
}
