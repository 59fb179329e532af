//! The steps of a candidate: verified against what runs, loaded, prepared.

use std::sync::Arc;
use std::time::Instant;

use liveswap_state::{Context, fence::Panic};
use thiserror::Error;

use super::super::Settings;
use super::super::library::{Library, LoadError};
use super::super::observer::SwapStep;
use super::super::restore::RestoreError;
use super::super::staged::Staged;
use super::super::state::State;
use super::super::transition::Step;
use super::configure::{ConfigureError, configure};
use super::{Module, Services, micros};
use crate::call::StatePointer;
use crate::candidate::VerifyError;
use crate::candidate::state::{Way, way};
use crate::candidate::verify::{self, Readable};
use crate::error::PushError;
use crate::host::hook::NoResult;

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
    /// Its `self_test` hook says that it doesn't work.
    #[error("the version has failed its self-test: {reason}")]
    SelfTest {
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
    /// It doesn't take what is set for the module.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// A hook has no result.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

impl PrepareError {
    fn panicked(hook: &'static str, panic: Panic) -> Self {
        Self::Panicked { hook, message: panic.message, location: panic.location }
    }
}

impl Module {
    /// Takes a step, and notes how long that took.
    pub(super) fn run(&mut self, step: Step, settings: &Settings) -> Result<(), PushError> {
        let seen = seen(step);
        if let Some(seen) = seen {
            ask(settings, Some(self.name()), seen)?;
        }
        let started = Instant::now();
        let outcome = match step {
            Step::Verify => self.with_staged(|module, staged| module.verify(staged, settings)),
            Step::Rehearse => self.with_staged(|module, staged| module.rehearse(staged, settings)),
            Step::Load => self.with_staged(|module, staged| {
                Ok(load(staged, module.name(), module.services.clone(), settings)?)
            }),
            Step::Prepare => self.with_staged(|module, staged| Ok(module.prepare(staged, settings)?)),
            Step::Yield => self.ask_to_yield(settings),
            Step::Check => self.check(settings),
            Step::HandOver => self.hand_over_on_record(settings),
            Step::Initialize => self.initialize(settings),
        };
        let took = micros(started.elapsed());
        if let (Ok(()), Some(seen)) = (&outcome, seen) {
            settings.observer.told(Some(self.name()), seen);
        }
        match step {
            Step::Verify => *self.stages.verify.get_or_insert(0) += took,
            Step::Rehearse => self.stages.rehearse = self.rehearsed.is_some().then_some(took),
            Step::Load => self.stages.load = Some(took),
            Step::Prepare => self.stages.prepare = Some(took),
            Step::Yield => self.stages.yielding = self.active().map(|_| took),
            Step::Check => self.stages.check = self.is_migrating().then_some(took),
            Step::HandOver => self.stages.hand_over = self.is_migrating().then_some(took),
            Step::Initialize => {}
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

    fn prepare(&mut self, staged: &mut Staged, settings: &Settings) -> Result<(), PrepareError> {
        staged.prepared = true;
        let library = staged.library.as_ref().expect("prepare comes after load");
        let (entry, context) = (*library.entry(), library.context().clone());
        let (hooks, footprint) = (&settings.hooks, &staged.footprint);
        // One after the other on the same thread: each hand-over to it takes longer than most hooks do.
        let test = move || {
            let ready =
                (entry.prepare)(&context).map_err(|panic| PrepareError::panicked("prepare", *panic))?;
            ready.map_err(|reason| PrepareError::Refused { reason })?;
            let works = (entry.self_test)(&context);
            let works = works.map_err(|panic| PrepareError::panicked("self_test", *panic))?;
            works.map_err(|reason| PrepareError::SelfTest { reason })
        };
        hooks.run(footprint, "prepare", test, drop)??;
        if self.state.is_some() {
            return Ok(());
        }
        let manifest = &staged.readable.manifest.state;
        let restored = match &mut self.snapshots {
            Some(snapshots) => {
                snapshots.restore(settings, library, manifest, &self.path.module, self.oversight.returns())?
            }
            None => None,
        };
        let pointer = match restored {
            Some(restored) => restored,
            None => create(library, settings)?,
        };
        let options = self.services.options.current();
        let pointer = configure(library, settings, pointer, options.clone())?;
        self.heard.replace(options);
        staged.created = Some(State::first(pointer, manifest.clone(), self.first_generation));
        Ok(())
    }
}

/// The step, as the host knows it. What belongs to the module's life, and not to a swap, it isn't asked about.
fn seen(step: Step) -> Option<SwapStep> {
    match step {
        Step::Verify => Some(SwapStep::Verify),
        Step::Rehearse => Some(SwapStep::Rehearse),
        Step::Load => Some(SwapStep::Load),
        Step::Prepare => Some(SwapStep::Prepare),
        Step::Yield => Some(SwapStep::Yield),
        Step::Check => Some(SwapStep::Check),
        Step::HandOver => Some(SwapStep::HandOver),
        Step::Initialize => None,
    }
}

/// Asks the host whether a step may be taken.
pub(crate) fn ask(settings: &Settings, module: Option<&str>, step: SwapStep) -> Result<(), PushError> {
    settings.observer.ask(module, step).map_err(|reason| PushError::Withheld { step, reason })
}

/// A state as the version makes it, for a module that has none.
fn create(library: &Library, settings: &Settings) -> Result<StatePointer, PrepareError> {
    let (entry, context) = (*library.entry(), library.context().clone());
    let make = move || {
        let created = (entry.create)(&context).map(StatePointer);
        created.map_err(|panic| PrepareError::panicked("create", *panic))
    };
    let late = move |created: Result<StatePointer, PrepareError>| {
        if let Ok(created) = created {
            // SAFETY: the hook has made it just now, of this type, and nobody else has it. A panic in its destructor
            // was logged when it happened.
            let _ = unsafe { (entry.state.destroy)(created.0) };
        }
    };
    settings.hooks.run(library.footprint(), "create", make, late)?
}

/// Maps the candidate, and binds it to the host. Its constructors may never return, so that is a hook too.
fn load(staged: &mut Staged, module: &str, services: Services, settings: &Settings) -> Result<(), LoadError> {
    let Readable { manifest, version } = &staged.readable;
    let Services { spawner, modules, options } = services;
    let context = Context::of_load(module, version.to_string(), staged.serial.0, spawner)
        .with_modules(modules)
        .sharing_options(options)
        .with_output(settings.output.clone());
    let (methods, context) = (manifest.methods.len(), Arc::new(context));
    let (copy, section, footprint) = (staged.copy.clone(), staged.section.clone(), staged.footprint.clone());
    let load = move || -> Result<_, LoadError> {
        // SAFETY: the copy is of a candidate that was verified.
        let mut library = unsafe { Library::open(&copy) }?;
        // SAFETY: `section` was read from the copy, and `verify::readable` has compared contract and compiler.
        let connected = unsafe { library.connect(&section, methods, context, footprint) };
        Ok((library, connected))
    };
    // What is dropped stays mapped: nobody knows what its constructors have done.
    let loaded = settings.hooks.run(&staged.footprint, "load", load, drop);
    staged.is_stuck = matches!(loaded, Err(NoResult::Hung { .. }));
    let (library, connected) = loaded.map_err(LoadError::from)??;
    // Whatever has failed, `discard` closes it and looks.
    staged.library = Some(library);
    connected
}
