//! How a rehearsal ended: what was done, or why the candidate was refused.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::order::Stage;

/// A rehearsal that the candidate has passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rehearsed {
    /// How many recorded calls were made again on the candidate.
    pub calls: u64,
    /// Of how many of them the answer was compared with the one of the version before.
    pub compared: u64,
    /// The methods of which no answers were compared.
    pub not_compared: Vec<NotCompared>,
    /// What the versions worked on.
    pub state: StateCopy,
    /// Why that wasn't all of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A method whose answers weren't compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotCompared {
    /// Its name.
    pub method: String,
    /// Why not.
    pub why: String,
}

impl NotCompared {
    pub(crate) fn new(method: impl Into<String>, why: impl Into<String>) -> Self {
        Self { method: method.into(), why: why.into() }
    }
}

/// What a rehearsal works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StateCopy {
    /// A copy of all of the state.
    Snapshot,
    /// A copy of the state, with a part of its large collections.
    Sample,
    /// A state that was made for it.
    Created,
}

/// Why a candidate was refused by its rehearsal, or couldn't be rehearsed. None of its code has run in this process.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// The process of the rehearsal has crashed.
    #[error(
        "the rehearsal's process ended by {how} while it was {doing}: mend that, and push again{said}",
        said = Said(said)
    )]
    Crashed {
        /// `SIGSEGV`, `SIGABRT`, `exit code 3` and the like.
        how: String,
        /// What was being done.
        doing: String,
        /// The last that the process has written to standard error.
        said: String,
    },
    /// It didn't get on.
    #[error(
        "the rehearsal hung while it was {doing}, and was ended after {waited_ms} ms: mend that, or raise \
         `Rehearsal::deadline`{said}",
        said = Said(said)
    )]
    Hung {
        /// What was being done.
        doing: String,
        /// For how long nothing else had happened, in milliseconds.
        waited_ms: u64,
        /// The last that the process has written to standard error.
        said: String,
    },
    /// The two versions answer a recorded call in different ways, and that isn't declared.
    #[error(
        "`{method}` answers otherwise than the active version: found {found}, expected {expected}, with arguments \
         {arguments}: mend it, or name the method in `Logic::DIFFERENCES` if that is meant"
    )]
    Disagreed {
        /// The method.
        method: String,
        /// The bytes of its arguments, the first ones at least.
        arguments: String,
        /// What the candidate answers.
        found: String,
        /// What the active version answers.
        expected: String,
    },
    /// The candidate says itself that it doesn't work, or its migration doesn't.
    #[error("the rehearsal failed while it was {doing}: {reason}: mend that, and push again")]
    Failed {
        /// What was being done.
        doing: String,
        /// Why.
        reason: String,
    },
    /// The active version can't be rehearsed with. That isn't the candidate's fault.
    #[error(
        "the rehearsal didn't get to the candidate: it was {doing}: {reason}: push without a rehearsal, or have logic \
         look for the variable LIVESWAP_REHEARSAL"
    )]
    Impossible {
        /// What was being done.
        doing: String,
        /// Why.
        reason: String,
    },
    /// There is no program to rehearse with.
    #[error(
        "found no program to rehearse with (looked for {looked_for}): install the `liveswap` command, name a program with \
         `Rehearsal::program`, or push without a rehearsal"
    )]
    NoProgram {
        /// Where was looked.
        looked_for: String,
    },
    /// The program isn't one that rehearses.
    #[error("{program} can't rehearse: {reason}: name the `liveswap` command of the host's release", program = program.display())]
    NotAProgram {
        /// The program.
        program: PathBuf,
        /// What it did instead.
        reason: String,
    },
    /// The program was built otherwise than the host, and can't load what the host can.
    #[error(
        "found {program} of {found}, expected {expected}: build it of the same release and with the same compiler as the \
         host",
        program = program.display()
    )]
    OtherBuild {
        /// The program.
        program: PathBuf,
        /// What it's built of.
        found: String,
        /// What the host is built of.
        expected: String,
    },
    /// The system refused something that a rehearsal needs.
    #[error(
        "can't {what}: {source}: check the disk's space and the host's limits, or push without a rehearsal"
    )]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl RehearsalError {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    pub(crate) fn failed(stage: &Stage, reason: String) -> Self {
        let doing = stage.to_string();
        if stage.is_of_candidate() {
            Self::Failed { doing, reason }
        } else {
            Self::Impossible { doing, reason }
        }
    }

    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Crashed { .. } => "rehearsal-crashed",
            Self::Hung { .. } => "rehearsal-hung",
            Self::Disagreed { .. } => "rehearsal-disagreed",
            Self::Failed { .. } => "rehearsal-failed",
            Self::Impossible { .. }
            | Self::NoProgram { .. }
            | Self::NotAProgram { .. }
            | Self::OtherBuild { .. }
            | Self::System { .. } => "no-rehearsal",
        }
    }

    /// Whether it's the content's fault, so that another try would end the same way.
    pub(crate) fn is_lasting(&self) -> bool {
        self.code() != "no-rehearsal"
    }
}

/// What a process has said, if anything.
struct Said<'text>(&'text str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, " (it said: {})", self.0) }
    }
}
