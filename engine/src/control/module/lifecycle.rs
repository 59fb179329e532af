//! A module's life, beside that of its versions: its `initialize`, `start` and `stop` hooks are called, once each.
//!
//! When that is due, and in which order among the modules, is decided in [`lifecycle`](crate::lifecycle); how a hook gets
//! the state alone, here. `initialize` has a state that nobody else has yet. `start` takes its turn among the calls, as one
//! with `&mut self` does. `stop` comes when nobody enters the module any more and the last call has left it.
//!
//! A hook that misses its deadline keeps what it has: the state that it initializes is dropped on its own thread, and one
//! that it stops is left in memory. One that starts the module too late has it stopped again, before anybody else gets at
//! the state ([`attempt`](super::attempt)); until it's over, the module isn't started again.

use std::time::{Duration, Instant};

use liveswap_state::fence::Panic;
use liveswap_state::{Context, Fenced};

use super::super::Settings;
use super::super::reaper::described;
use super::Module;
use super::attempt::{Attempt, Reached};
use crate::call::suspicion::Suspicion;
use crate::call::{Guard, StatePointer};
use crate::candidate::VersionNumber;
use crate::error::{LifecycleError, NoResult, PushError};
use crate::lifecycle::LifecyclePhase;
use crate::tell::tell;

/// How far a module is in its life.
#[derive(Default)]
pub(super) struct Life {
    pub(super) phase: LifecyclePhase,
    /// Why it isn't further. A module that has failed to start isn't asked again before it has another version.
    pub(super) failure: Option<String>,
    /// The last hook of its that was given up while it might have got the state, and its version.
    given_up: Option<(VersionNumber, Attempt)>,
}

/// What a hook says for itself.
type Refused = Result<(), String>;

impl Module {
    pub(crate) fn lifecycle(&self) -> LifecyclePhase {
        self.life.phase
    }

    /// Whether it's to be started by itself: not if it has failed to, and has had no other version since; and not before
    /// a `start` of an earlier version is over.
    pub(crate) fn is_to_be_started(&self) -> bool {
        self.life.failure.is_none()
            && self.life.given_up.as_ref().is_none_or(|(_, attempt)| attempt.is_over())
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
        if let Some((version, attempt)) = &self.life.given_up
            && !attempt.is_over()
        {
            let (module, version) = (self.name().to_owned(), version.clone());
            return Err(LifecycleError::StillStarting { module, version });
        }
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

    fn call_start(&mut self, settings: &Settings) -> Result<(), LifecycleError> {
        let Some(active) = self.active() else {
            return Err(LifecycleError::NoVersion { module: self.name().to_owned() });
        };
        let entry = *active.library.entry();
        self.call_in_turn("start", settings, move |attempt, state, context| {
            // SAFETY: as `call_in_turn` vouches.
            let started = unsafe { (entry.start)(state, context) }?;
            if started.is_ok() && !attempt.conclude() {
                // It has failed, to everybody else. Nobody gets at the state in between.
                // SAFETY: as above.
                unsafe { (entry.stop)(state, context) }?;
            }
            Ok(started)
        })
    }

    /// Has the active version call a hook that has the state alone, in its turn among the calls. `work` is called with a
    /// state of that version's type.
    fn call_in_turn(
        &mut self,
        hook: &'static str,
        settings: &Settings,
        work: impl FnOnce(&Attempt, *mut (), &Context) -> Fenced<Refused> + Send + 'static,
    ) -> Result<(), LifecycleError> {
        let module = self.name().to_owned();
        let Some(active) = self.active() else { return Err(LifecycleError::NoVersion { module }) };
        let (path, serial, version) = (self.path.clone(), active.serial.0, active.number.clone());
        let (attempt, turn) = Attempt::new();
        let run = move || {
            let guard = Guard::enter(&path).ok()?;
            guard.seclude_state(serial, hook, |state, context| {
                if turn.begin() { work(&turn, state, context).map(Some) } else { Ok(None) }
            })
        };
        let outcome = settings.hooks.run(&active.footprint, hook, run, drop);
        let occupied = |reason| LifecycleError::Occupied { module: module.clone(), hook, reason };
        match outcome {
            Ok(None | Some(Ok(None))) => Err(self.kept_out(hook)),
            Ok(Some(Ok(Some(answer)))) => judged(&module, hook, Ok(Ok(answer))),
            Ok(Some(Err(panic))) => judged(&module, hook, Ok(Err(panic))),
            // The thread hasn't let go of it yet.
            Err(NoResult::StillRuns { .. }) => Err(LifecycleError::StillStarting { module, version }),
            Err(source) => match attempt.give_up() {
                Reached::Conclusion => Ok(()),
                reached => {
                    self.life.given_up = Some((version, attempt));
                    if reached == Reached::Nothing && matches!(source, NoResult::Hung { .. }) {
                        let holders = self.path.in_the_state();
                        return Err(occupied(described(&holders, "others had the state all the time")));
                    }
                    Err(LifecycleError::NoResult { module, source })
                }
            },
        }
    }

    /// Has a module that has started stopped, because others have failed to start: it's initialized as before, and can be
    /// started again. If that fails, it's closed, since nobody knows what it has come to.
    pub(crate) fn take_back_start(&mut self, settings: &Settings) {
        let outcome = self.call_stop_in_turn(settings);
        match &outcome {
            Ok(()) => {
                self.life.phase = LifecyclePhase::Initialized;
                tell(|| tracing::info!(module = self.name(), "stopped, and may be started again"));
            }
            Err(error) => {
                self.close();
                self.end_probation();
                (self.life.phase, self.life.failure) = (LifecyclePhase::Stopped, Some(error.to_string()));
                let (module, code) = (self.name(), error.code());
                tell(|| tracing::error!(module, code, "stopped, with a failure: {error}"));
            }
        }
        self.write_board();
    }

    fn call_stop_in_turn(&mut self, settings: &Settings) -> Result<(), LifecycleError> {
        let Some(active) = self.active() else { return Ok(()) };
        let entry = *active.library.entry();
        self.call_in_turn("stop", settings, move |attempt, state, context| {
            // SAFETY: as `call_in_turn` vouches.
            unsafe { (entry.stop)(state, context) }?;
            // If it comes too late, the module is closed, and has been stopped all the same.
            attempt.conclude();
            Ok(Ok(()))
        })
    }

    /// Closes the module, and has it stopped once the last call has left, by a hook that may take so long.
    pub(crate) fn stop_started(
        &mut self,
        settings: &Settings,
        deadline: Option<Instant>,
        patience: Duration,
    ) -> Result<(), LifecycleError> {
        self.close();
        let outcome = self.call_stop(settings, deadline, patience);
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

    fn call_stop(
        &self,
        settings: &Settings,
        deadline: Option<Instant>,
        patience: Duration,
    ) -> Result<(), LifecycleError> {
        let module = self.name().to_owned();
        let (Some(active), Some(state)) = (self.active(), &self.state) else { return Ok(()) };
        if !self.is_drained_by(settings, deadline) {
            return Err(LifecycleError::Occupied { module, hook: "stop", reason: self.held_by() });
        }
        // After the last call, which may have panicked.
        if self.is_barred() {
            return Err(self.kept_out("stop"));
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
        let outcome = match settings.hooks.run_for(patience, &active.footprint, "stop", stop, drop) {
            Ok(Some(outcome)) => Ok(outcome),
            Ok(None) => {
                let reason = "a snapshot is still being taken".to_owned();
                return Err(LifecycleError::Occupied { module, hook: "stop", reason });
            }
            Err(error) => Err(error),
        };
        if let Ok(Err(panic)) = &outcome {
            self.path.suspicions.note(Suspicion::of(&active.number.to_string(), "stop", panic));
        }
        judged(&module, "stop", outcome.map(|outcome| outcome.map(Ok)))
    }

    /// Why a hook can't have the state.
    fn kept_out(&self, hook: &'static str) -> LifecycleError {
        let module = self.name().to_owned();
        match self.path.suspicions.keeps_out() {
            Some(suspicion) => LifecycleError::Suspect { module, hook, by: suspicion.method },
            None => {
                let reason = "the state can't be had".to_owned();
                LifecycleError::Occupied { module, hook, reason }
            }
        }
    }

    /// Whether the state may still be in the hands of a hook that isn't inside as a call is.
    pub(super) fn is_kept_by_a_hook(&self) -> bool {
        self.loaded.iter().any(|loaded| loaded.footprint.is_awaited_in("stop"))
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
