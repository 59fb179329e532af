//! The steps of a candidate: verified against what runs, loaded, prepared.

use std::sync::Arc;
use std::time::Instant;

use liveswap_state::{Context, Spawner, fence::Panic};
use thiserror::Error;

use super::super::Settings;
use super::super::library::{Library, LoadError};
use super::super::restore::RestoreError;
use super::super::staged::Staged;
use super::super::state::State;
use super::super::transition::Step;
use super::{Module, micros};
use crate::candidate::VerifyError;
use crate::candidate::state::{Way, way};
use crate::candidate::verify::{self, Readable};
use crate::error::PushError;
use crate::host::hook;

/// Why a loaded candidate can't serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// Its `prepare` hook says that it can't.
    #[error("the version refused to serve: {reason}")]
    Refused {
        /// The hook's own words.
        reason: String,
    },
    /// A hook panicked.
    #[error("the version panicked in `{hook}` at {location}: {message}")]
    Panicked {
        /// The hook.
        hook: &'static str,
        /// The panic's message.
        message: String,
        /// Where it panicked.
        location: String,
    },
    /// There is a snapshot of the state, and the version can't begin with it.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

impl PrepareError {
    fn panicked(hook: &'static str, panic: Panic) -> Self {
        Self::Panicked { hook, message: panic.message, location: panic.location }
    }
}

impl Module {
    /// Takes a step, and notes how long that took.
    pub(super) fn run(&mut self, step: Step, settings: &Settings) -> Result<(), PushError> {
        let started = Instant::now();
        let outcome = match step {
            Step::Verify => self.with_staged(|module, staged| module.verify(staged, settings)),
            Step::Rehearse => self.with_staged(|module, staged| module.rehearse(staged, settings)),
            Step::Load => self.with_staged(|module, staged| Ok(load(staged, module.spawner.clone())?)),
            Step::Prepare => self.with_staged(|module, staged| Ok(module.prepare(staged)?)),
            Step::Check => self.check(settings),
            Step::HandOver => self.hand_over(settings),
        };
        let took = micros(started.elapsed());
        match step {
            Step::Verify => *self.stages.verify.get_or_insert(0) += took,
            Step::Rehearse => self.stages.rehearse = self.rehearsed.is_some().then_some(took),
            Step::Load => self.stages.load = Some(took),
            Step::Prepare => self.stages.prepare = Some(took),
            Step::Check => self.stages.check = self.is_migrating().then_some(took),
            Step::HandOver => self.stages.hand_over = self.is_migrating().then_some(took),
        }
        outcome
    }

    fn with_staged(
        &mut self,
        step: impl FnOnce(&mut Self, &mut Staged) -> Result<(), PushError>,
    ) -> Result<(), PushError> {
        let mut staged = self.staged.take().expect("a swap has a candidate");
        let outcome = step(self, &mut staged);
        self.staged = Some(staged);
        outcome
    }

    fn verify(&self, staged: &mut Staged, settings: &Settings) -> Result<(), PushError> {
        let Readable { manifest, version } = &staged.readable;
        let found = staged.digest();
        if let Some((_, expected)) = self.published.iter().find(|(number, _)| number == version)
            && *expected != found
        {
            let (version, expected) = (version.clone(), *expected);
            return Err(VerifyError::ConflictingVersion { version, found, expected }.into());
        }
        if let Some(active) = self.active_number()
            && *version < active
            && !staged.allowed.older
        {
            return Err(VerifyError::OlderVersion { found: version.clone(), active }.into());
        }
        staged.places = verify::interface(manifest, self.interface, self.path.methods)?;
        if let Some(state) = &self.state
            && let Way::Upgrade { is_one_way: true, .. } = way(&manifest.state, &state.manifest)?
            && !staged.allowed.one_way
        {
            return Err(
                VerifyError::OneWay { version: version.clone(), schema: manifest.state.schema }.into()
            );
        }
        self.reaper.has_room(settings.retained_max)
    }

    fn prepare(&mut self, staged: &mut Staged) -> Result<(), PrepareError> {
        staged.prepared = true;
        let library = staged.library.as_ref().expect("prepare comes after load");
        let (entry, context) = (library.entry(), library.context());
        let footprint = &staged.footprint;
        match hook::call(footprint, "prepare", || (entry.prepare)(context)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(PrepareError::Refused { reason }),
            Err(panic) => return Err(PrepareError::panicked("prepare", *panic)),
        }
        if self.state.is_some() {
            return Ok(());
        }
        let manifest = &staged.readable.manifest.state;
        let restored = match &mut self.snapshots {
            Some(snapshots) => snapshots.restore(library, manifest, &self.path.module)?,
            None => None,
        };
        let pointer = match restored {
            Some(restored) => restored,
            None => hook::call(footprint, "create", || (entry.create)(context))
                .map_err(|panic| PrepareError::panicked("create", *panic))?,
        };
        staged.created = Some(State::first(pointer, manifest.clone(), self.first_generation));
        Ok(())
    }
}

fn load(staged: &mut Staged, spawner: Arc<dyn Spawner>) -> Result<(), LoadError> {
    // Kept in `staged` from the first moment: whatever fails now, `discard` closes it and looks.
    // SAFETY: the copy is of a candidate that was verified.
    let library = staged.library.insert(unsafe { Library::open(&staged.copy) }?);
    let Readable { manifest, version } = &staged.readable;
    let context = Context::of_load(&manifest.module, version.to_string(), staged.serial.0, spawner);
    let (methods, footprint) = (manifest.methods.len(), &staged.footprint);
    let context = Arc::new(context);
    // SAFETY: `section` was read from the copy, and `verify::readable` has compared contract and compiler.
    hook::call(footprint, "bind", || unsafe {
        library.connect(&staged.section, methods, context, footprint.clone())
    })
}
