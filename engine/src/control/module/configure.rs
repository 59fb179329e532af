//! Telling a module what is set for it.
//!
//! A state that was just made is configured before any call sees it. Afterwards the version that serves is told of a
//! change in a moment in which it has the state alone, as in an exclusive call, which is what that is to everybody else:
//! calls wait for it, and a panic in it may leave the state half changed.
//!
//! The options that versions see are replaced once the hook has taken the new ones. So one that fails leaves the former
//! ones in force, for the hook of the next change as well.
//!
//! A hook that misses its deadline may take its options all the same. It puts nothing in force, but notes what the state
//! has heard, while it has that alone. When it's over, the configuration is read again: if that still says the same, it
//! comes into force without another call; else the hook is called with what is in force.

use std::sync::Arc;

use liveswap_state::{Fenced, Options};
use thiserror::Error;

use super::super::Settings;
use super::super::library::Library;
use super::super::state::destroy;
use super::attempt::{Attempt, Reached};
use super::{Loaded, Module};
use crate::call::{Guard, StatePointer};
use crate::config::ConfigFailure;
use crate::host::hook::NoResult;
use crate::lifecycle::LifecyclePhase;
use crate::lock::lock;
use crate::tell::tell;

/// Why a module doesn't take its options.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigureError {
    /// Its `configure` hook says what can't be meant.
    #[error("the options were refused: {reason}")]
    Refused {
        /// The hook's own words.
        reason: String,
    },
    /// The hook panicked.
    #[error("the version panicked in `configure` at {location}: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
        /// Where it panicked.
        location: String,
    },
    /// The version that serves can't have its state alone.
    #[error(
        "the version that serves can't have its state now: reload when it's trusted or restored (see the status)"
    )]
    NotNow,
    /// The hook has no result.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

impl ConfigureError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "configure-refused",
            Self::Panicked { .. } => "configure-panicked",
            Self::NotNow => "configure-not-now",
            Self::NoResult(error) => error.code(),
        }
    }

    fn of(answer: Fenced<Result<(), String>>) -> Result<(), Self> {
        match answer {
            Ok(answer) => answer.map_err(|reason| Self::Refused { reason }),
            Err(panic) => Err(Self::Panicked { message: panic.message, location: panic.location }),
        }
    }
}

/// Configures a state that nobody else has. If that fails, the state is gone.
pub(super) fn configure(
    library: &Library,
    settings: &Settings,
    state: StatePointer,
    options: Arc<Options>,
) -> Result<StatePointer, ConfigureError> {
    let (entry, context) = (*library.entry(), library.context().clone());
    let run = move || {
        let state = state;
        // SAFETY: the state is of the library's type, and nobody else's.
        unsafe { (entry.configure)(state.0, &options, &context) }
    };
    let late = move |_: Fenced<Result<(), String>>| {
        let state = state;
        // SAFETY: as above; whoever waited has left it to this. A panic was logged when it happened.
        let _ = unsafe { (entry.state.destroy)(state.0) };
    };
    let answer = settings.hooks.run(library.footprint(), "configure", run, late);
    let outcome = answer.map_err(ConfigureError::from).and_then(ConfigureError::of);
    match outcome {
        Ok(()) => return Ok(state),
        // Who still has it, or had it last, is the hook.
        Err(ConfigureError::NoResult(NoResult::Hung { .. } | NoResult::Died { .. })) => {}
        Err(_) => destroy(library, &settings.hooks, &library.entry().state, state),
    }
    outcome.map(|()| state)
}

impl Module {
    /// Has the module take these options, if they are others than those in force. True if they are.
    pub(crate) fn configure(
        &mut self,
        options: Options,
        settings: &Settings,
    ) -> Result<bool, ConfigureError> {
        let is_other = *self.services.options.current() != options;
        let outcome = self.take(is_other, Arc::new(options), settings);
        let mut board = lock(&self.board);
        let status = &mut board.options;
        status.changes += u64::from(is_other && outcome.is_ok());
        let failure =
            |error: &ConfigureError| ConfigFailure { code: error.code(), message: error.to_string() };
        status.failure = outcome.as_ref().err().map(failure);
        drop(board);
        let module = self.name();
        match &outcome {
            Ok(()) if is_other => {
                tell(|| tracing::info!(module, "other options are in force"));
            }
            Ok(()) => {}
            Err(error) => {
                tell(|| {
                    tracing::error!(module, code = error.code(), "the options before stay in force: {error}")
                });
            }
        }
        outcome.map(|()| is_other)
    }

    fn take(
        &mut self,
        is_other: bool,
        options: Arc<Options>,
        settings: &Settings,
    ) -> Result<(), ConfigureError> {
        // One that was stopped isn't called any more.
        let is_stopped = self.lifecycle() == LifecyclePhase::Stopped;
        if let Some(active) = self.active().filter(|_| !is_stopped)
            && *self.heard.current() != *options
        {
            let (outcome, given_up) = self.tell_of_change(active, &options, settings);
            // One that is at it already is what must be waited for.
            if given_up.as_ref().is_some_and(|attempt| self.is_telling.is_none() || !attempt.is_over()) {
                self.is_telling = given_up;
            }
            outcome?;
        }
        if is_other {
            self.services.options.replace(options);
        }
        Ok(())
    }

    /// Whether a hook that had missed its deadline is over, so that what the state has heard may be others than what is in
    /// force.
    pub(crate) fn has_heard_late(&mut self) -> bool {
        self.is_telling.take_if(|telling| telling.is_over()).is_some()
    }

    /// Has the hook called with what is in force, if the state has heard of others.
    pub(crate) fn tell_again(&mut self, settings: &Settings) {
        let in_force = self.services.options.current();
        if self.active().is_some() && *self.heard.current() != *in_force {
            // What fails is logged, and in the status.
            let _ = self.configure(Options::clone(&in_force), settings);
        }
    }

    /// Calls the hook. If that is to be looked at again when a hook is over that was given up, that too.
    fn tell_of_change(
        &self,
        active: &Loaded,
        options: &Arc<Options>,
        settings: &Settings,
    ) -> (Result<(), ConfigureError>, Option<Attempt>) {
        let (hook, serial, path) = (active.library.entry().configure, active.serial.0, self.path.clone());
        let (attempt, turn) = Attempt::new();
        let run = {
            let (heard, options) = (self.heard.clone(), options.clone());
            move || {
                let guard = Guard::enter(&path).ok()?;
                guard.seclude_state(serial, "configure", |state, context| {
                    if !turn.begin() {
                        return Ok(Err("the deadline has passed".to_owned()));
                    }
                    // SAFETY: the state is of the library's type, since the version with this serial number works on
                    // it; and it's this thread's alone.
                    let answer = unsafe { hook(state, &options, context) }?;
                    if answer.is_ok() {
                        heard.replace(options);
                        turn.conclude();
                    }
                    Ok(answer)
                })
            }
        };
        match settings.hooks.run(&active.footprint, "configure", run, drop) {
            Ok(answer) => (answer.ok_or(ConfigureError::NotNow).and_then(ConfigureError::of), None),
            Err(error) => match attempt.give_up() {
                Reached::Conclusion => (Ok(()), None),
                Reached::Nothing if !matches!(error, NoResult::StillRuns { .. }) => (Err(error.into()), None),
                Reached::Beginning | Reached::Nothing => (Err(error.into()), Some(attempt)),
            },
        }
    }

    /// Whether it has no version, so that other options may make one welcome that was refused.
    pub(crate) fn is_empty(&self) -> bool {
        self.active().is_none()
    }
}
