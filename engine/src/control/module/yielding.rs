//! The version that serves has a say in when it hands over, and hears what has become of it.
//!
//! It's asked once its successor is ready. A veto holds for a while: it's asked again a few times, and only then the push
//! is refused. Whoever forces the push overrides the veto, which then stands in the record of the swap. Whether the
//! version has agreed or was overridden, it's told afterwards: the successor serves, or it serves on.

use liveswap_state::Fenced;
use thiserror::Error;

use super::super::Settings;
use super::super::transition::Word;
use super::{Loaded, Module};
use crate::error::PushError;
use crate::host::hook::NoResult;
use crate::tell::tell;

/// Why the version that serves doesn't hand over.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum YieldError {
    /// It says that it can't now.
    #[error(
        "version {version} doesn't hand over: {reason} (asked {times} times): push again when that is over, or force it \
         (`--force`)"
    )]
    Vetoed {
        /// The version that serves.
        version: String,
        /// The hook's own words.
        reason: String,
        /// How often it was asked.
        times: u32,
    },
    /// It panicked when it was asked.
    #[error(
        "version {version} panicked in `prepare_to_yield` at {location}: {message}: force the push (`--force`) to \
         replace it all the same"
    )]
    Panicked {
        /// The version that serves.
        version: String,
        /// The panic's message.
        message: String,
        /// Where it panicked.
        location: String,
    },
    /// It has given no answer.
    #[error("version {version} gives no answer: {source}; or force the push (`--force`)")]
    NoResult {
        /// The version that serves.
        version: String,
        /// Why.
        source: NoResult,
    },
}

impl YieldError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Vetoed { .. } => "vetoed",
            Self::Panicked { .. } => "yield-panicked",
            Self::NoResult { source, .. } => source.code(),
        }
    }
}

impl Module {
    /// Asks the version that serves, if there is one, until it agrees or has said no often enough.
    pub(super) fn ask_to_yield(&mut self, settings: &Settings) -> Result<(), PushError> {
        let Some(active) = self.active() else { return Ok(()) };
        let is_forced = self.staged.as_ref().is_some_and(|staged| staged.allowed.forced);
        let mut pause = settings.vetoes.pause;
        let mut times = 1;
        let error = loop {
            let error = match ask(active, settings, times, is_forced) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_final = is_forced || !matches!(error, YieldError::Vetoed { .. });
            if is_final || times >= settings.vetoes.max {
                break error;
            }
            if times == 1 {
                tell(|| tracing::info!(module = self.name(), "asked again for a while: {error}"));
            }
            if settings.ends_within(pause) {
                return Err(PushError::Stopped);
            }
            (pause, times) = (pause.saturating_mul(2), times + 1);
        };
        if !is_forced {
            return Err(error.into());
        }
        tell(|| tracing::warn!(module = self.name(), "forced: {error}"));
        self.forced = Some(error.to_string());
        Ok(())
    }

    /// Tells versions what has become of hand-overs.
    pub(super) fn tell_of_hand_overs(&mut self, settings: &Settings) {
        for (serial, word) in std::mem::take(&mut self.to_tell) {
            // One that has left its slot since hears of that by its `teardown`.
            let Some(Loaded { library, footprint, .. }) = self.find(Some(serial)) else { continue };
            let (entry, context) = (library.entry(), library.context().clone());
            let (name, hook) = match word {
                Word::Yielded => ("yielded", entry.yielded),
                Word::Resume => ("resume", entry.resume),
                Word::TookOver => ("took_over", entry.took_over),
            };
            // The library's own hook has reported a panic.
            let told = settings.hooks.run(footprint, name, move || hook(&context).is_ok(), drop);
            if let Err(error) = told {
                tell(|| tracing::warn!(module = self.name(), "{error}"));
            }
        }
    }
}

fn ask(active: &Loaded, settings: &Settings, times: u32, is_forced: bool) -> Result<(), YieldError> {
    let (entry, context) = (*active.library.entry(), active.library.context().clone());
    let version = || active.number.to_string();
    let late = {
        let context = context.clone();
        move |answer: Fenced<Result<(), String>>| {
            // The push is refused by then, so what it has agreed to is called off. If it panics, its own hook has said so.
            if !is_forced && matches!(answer, Ok(Ok(()))) {
                let _ = (entry.resume)(&context);
            }
        }
    };
    let ask = move || (entry.prepare_to_yield)(&context);
    let answer = settings.hooks.run(&active.footprint, "prepare_to_yield", ask, late);
    match answer.map_err(|source| YieldError::NoResult { version: version(), source })? {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(YieldError::Vetoed { version: version(), reason, times }),
        Err(panic) => {
            let (message, location) = (panic.message, panic.location);
            Err(YieldError::Panicked { version: version(), message, location })
        }
    }
}
