//! A module's life, beside that of its versions: its `initialize`, `start` and `stop` hooks are called, once each.
//!
//! When that is due, and in which order among the modules, is decided in [`lifecycle`](crate::lifecycle); how a hook gets
//! the state alone, here. `initialize` has a state that nobody else has yet. `start` takes its turn among the calls, as one
//! with `&mut self` does. `stop` comes when nobody enters the module any more and the last call has left it.
//!
//! A hook that misses its deadline keeps what it has: the state that it initializes is dropped on its own thread, and one
//! that it stops is left in memory. One that starts the module too late is stopped again, there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use liveswap_state::fence::Panic;

use super::super::Settings;
use super::Module;
use crate::call::suspicion::Suspicion;
use crate::call::{Guard, StatePointer};
use crate::error::{LifecycleError, NoResult, PushError};
use crate::lifecycle::LifecyclePhase;
use crate::tell::tell;

/// How far a module is in its life.
#[derive(Default)]
pub(super) struct Life {
    pub(super) phase: LifecyclePhase,
    /// Why it isn't further. A module that has failed to start isn't asked again before it has another version.
    pub(super) failure: Option<String>,
}

/// What has become of a hook that has to wait for the state.
const WAITS: u8 = 0;
const HAS_BEGUN: u8 = 1;
const IS_CALLED_OFF: u8 = 2;

/// What a hook says for itself.
type Refused = Result<(), String>;

impl Module {
    pub(crate) fn lifecycle(&self) -> LifecyclePhase {
        self.life.phase
    }

    /// Whether it has failed to start, and has had no other version since.
    pub(crate) fn has_failed_to_start(&self) -> bool {
        self.life.failure.is_some()
    }

    /// It isn't further, for this reason.
    pub(crate) fn note_not_further(&mut self, error: &LifecycleError) {
        self.life.failure = Some(error.to_string());
        self.write_board();
    }

    /// A module that was stopped gets no other version, lest it be called again.
    pub(super) fn refuse_if_stopped(&self) -> Result<(), PushError> {
        match self.life.phase {
            LifecyclePhase::Stopped => Err(LifecycleError::OutOfOrder {
                module: self.name().to_owned(),
                found: LifecyclePhase::Stopped,
                expected: LifecyclePhase::Started,
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// The module's first version is about to be published, and nothing else of it can fail any more: it initializes the
    /// state that it has made.
    pub(super) fn initialize(&mut self, settings: &Settings) -> Result<(), PushError> {
        let module = self.name().to_owned();
        let Some(staged) = &mut self.staged else { return Ok(()) };
        let Some(StatePointer(state)) = staged.created.as_ref().map(|created| created.pointer) else {
            return Ok(());
        };
        let library = staged.library.as_ref().expect("it was loaded");
        let (entry, context) = (*library.entry(), library.context().clone());
        let state = StatePointer(state);
        let initialize = move || {
            let state = state;
            // SAFETY: the candidate has made it, of its type, and nobody else has it.
            unsafe { (entry.initialize)(state.0, &context) }
        };
        let late = move |_| {
            let state = state;
            // A panic in its destructor was logged when it happened.
            // SAFETY: as above; who waited for the hook has given the state up.
            let _ = unsafe { (entry.state.destroy)(state.0) };
        };
        let outcome = settings.hooks.run(library.footprint(), "initialize", initialize, late);
        if matches!(outcome, Err(NoResult::Hung { .. } | NoResult::Died { .. })) {
            // It's the hook's: dropped when that returns, or lost with its thread.
            staged.created = None;
        }
        let outcome = judged(&module, "initialize", outcome);
        self.life.failure = outcome.as_ref().err().map(ToString::to_string);
        Ok(outcome?)
    }

    /// A version was published. If it was the first one, it has been initialized.
    pub(super) fn note_first_version(&mut self) {
        self.life.failure = None;
        if self.life.phase == LifecyclePhase::Registered {
            self.life.phase = LifecyclePhase::Initialized;
            tell(|| tracing::info!(module = self.name(), "initialized"));
        }
    }

    /// Has the active version start the module.
    pub(crate) fn start(&mut self, settings: &Settings) -> Result<(), LifecycleError> {
        let outcome = self.call_start(settings);
        match &outcome {
            Ok(()) => {
                (self.life.phase, self.life.failure) = (LifecyclePhase::Started, None);
                tell(|| tracing::info!(module = self.name(), "started"));
            }
            Err(error) => {
                self.note_not_further(error);
                let (module, code) = (self.name(), error.code());
                tell(|| tracing::error!(module, code, "not started: {error}"));
            }
        }
        self.write_board();
        outcome
    }

    fn call_start(&self, settings: &Settings) -> Result<(), LifecycleError> {
        let module = self.name().to_owned();
        let Some(active) = self.active() else { return Err(LifecycleError::NoVersion { module }) };
        let (path, serial, entry) = (self.path.clone(), active.serial.0, *active.library.entry());
        let step = Arc::new(AtomicU8::new(WAITS));
        let begins = step.clone();
        let start = move || {
            let guard = Guard::enter(&path).ok()?;
            guard.seclude_state(serial, "start", |state, context| {
                // Relaxed, as below: whichever comes first, and nothing is read on the strength of it.
                let begun = begins.compare_exchange(WAITS, HAS_BEGUN, Ordering::Relaxed, Ordering::Relaxed);
                if begun.is_err() {
                    return Ok(None);
                }
                // SAFETY: the state is of the library's type, since the version with this serial number works on it;
                // and this thread has it alone.
                unsafe { (entry.start)(state, context) }.map(Some)
            })
        };
        let late = {
            let path = self.path.clone();
            move |outcome: Option<Result<Option<Refused>, Box<Panic>>>| {
                if !matches!(outcome, Some(Ok(Some(Ok(()))))) {
                    return;
                }
                let Ok(guard) = Guard::enter(&path) else { return };
                // What could not be had is as good as stopped, and a panic was logged when it happened.
                let _ = guard.seclude_state(serial, "stop", |state, context| {
                    // SAFETY: as above.
                    unsafe { (entry.stop)(state, context) }
                });
            }
        };
        let outcome = settings.hooks.run(&active.footprint, "start", start, late);
        let has_waited = outcome.is_err()
            && step.compare_exchange(WAITS, IS_CALLED_OFF, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        let occupied = |reason| LifecycleError::Occupied { module: module.clone(), hook: "start", reason };
        match outcome {
            Err(NoResult::Hung { .. }) if has_waited => Err(occupied("calls keep the state to themselves")),
            Err(source) => Err(LifecycleError::NoResult { module, source }),
            Ok(None) => Err(occupied("the state can't be had")),
            Ok(Some(Ok(None))) => Err(occupied("it was called off")),
            Ok(Some(Ok(Some(answer)))) => judged(&module, "start", Ok(Ok(answer))),
            Ok(Some(Err(panic))) => judged(&module, "start", Ok(Err(panic))),
        }
    }

    /// Closes the module, and has it stopped once the last call has left.
    pub(crate) fn stop_started(
        &mut self,
        settings: &Settings,
        deadline: Option<Instant>,
    ) -> Result<(), LifecycleError> {
        self.close();
        let outcome = self.call_stop(settings, deadline);
        self.life.phase = LifecyclePhase::Stopped;
        self.life.failure = outcome.as_ref().err().map(ToString::to_string);
        match &outcome {
            Ok(()) => tell(|| tracing::info!(module = self.name(), "stopped")),
            Err(error) => {
                let (module, code) = (self.name(), error.code());
                tell(|| tracing::error!(module, code, "stopped, with a failure: {error}"))
            }
        };
        self.write_board();
        outcome
    }

    fn call_stop(&self, settings: &Settings, deadline: Option<Instant>) -> Result<(), LifecycleError> {
        let module = self.name().to_owned();
        let (Some(active), Some(state)) = (self.active(), &self.state) else { return Ok(()) };
        if !self.is_drained_by(settings, deadline) {
            let reason = "calls are still inside";
            return Err(LifecycleError::Occupied { module, hook: "stop", reason });
        }
        let (entry, context, pointer) =
            (*active.library.entry(), active.library.context().clone(), state.pointer);
        let path = self.path.clone();
        let stop = move || {
            // A snapshot may be in the state yet, or come to it later, if this hook hangs.
            path.alone_by(deadline, || {
                let state = pointer;
                // SAFETY: the active version works on it, so it's of its type; and nobody else is in the state until this
                // returns.
                unsafe { (entry.stop)(state.0, &context) }
            })
        };
        let outcome = match settings.hooks.run(&active.footprint, "stop", stop, drop) {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => {
                let reason = "a snapshot is still being taken";
                return Err(LifecycleError::Occupied { module, hook: "stop", reason });
            }
            Err(error) => Err(error),
        };
        if let Ok(Err(panic)) = &outcome {
            self.path.suspicions.note(Suspicion::of(&active.number.to_string(), "stop", panic));
        }
        judged(&module, "stop", outcome.map(|outcome| outcome.map(Ok)))
    }

    /// Whether the state may still be in the hands of a hook.
    pub(super) fn is_kept_by_a_hook(&self) -> bool {
        let held = |hook| self.loaded.iter().any(|loaded| loaded.footprint.is_awaited_in(hook));
        held("start") || held("stop")
    }
}

/// What a hook's outcome means for the module.
fn judged(
    module: &str,
    hook: &'static str,
    outcome: Result<Result<Refused, Box<Panic>>, NoResult>,
) -> Result<(), LifecycleError> {
    let module = module.to_owned();
    match outcome {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(reason))) => Err(LifecycleError::Failed { module, hook, reason }),
        Ok(Err(panic)) => {
            let Panic { message, location } = *panic;
            Err(LifecycleError::Panicked { module, hook, message, location })
        }
        Err(source) => Err(LifecycleError::NoResult { module, source }),
    }
}
