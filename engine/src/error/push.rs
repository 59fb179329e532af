//! Why a push ended without a publish.
//!
//! Each step has an error of its own, beside what it does; here they are one.

use thiserror::Error;

use super::{
    AcceptError, AdmissionError, LifecycleError, LoadError, MigrationError, PrepareError, RecordError,
    RehearsalError, SignatureError, VerifyError, YieldError,
};
use crate::control::SwapStep;

/// Why a push ended without a publish. The active version is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The candidate's bytes could not be taken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The candidate isn't signed as it must be. None of its code has run.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The candidate doesn't fit the host or what is running. None of its code has run.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The candidate hasn't passed its rehearsal. None of its code has run in this process.
    #[error(transparent)]
    Rehearse(#[from] RehearsalError),
    /// The candidate can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The candidate can't serve.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The module isn't, or doesn't get, where a version of it could be published.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The version that serves doesn't hand over.
    #[error(transparent)]
    Yield(#[from] YieldError),
    /// The state can't become the candidate's.
    #[error(transparent)]
    Migrate(#[from] MigrationError),
    /// The host has said no, by the function that it gave to [`Builder::on_step`](crate::Builder::on_step).
    #[error("the host doesn't allow the step `{step}`: {reason}")]
    Withheld {
        /// The step that was about to be taken.
        step: SwapStep,
        /// The host's own words.
        reason: String,
    },
    /// The next start can't be told that the candidate is on probation.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The candidate's module isn't there, and can't be made.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// It's one of a factory's candidates, and one of the instances doesn't get it. So none does.
    #[error("no instance of `{factory}` gets it, because of `{instance}`: {source}")]
    Instance {
        /// The factory.
        factory: String,
        /// The instance.
        instance: String,
        /// Why that doesn't get it.
        source: Box<Self>,
    },
    /// A swap is under way.
    #[error("{waits_for}: push again when that is done")]
    Busy {
        /// What the push would have to wait for.
        waits_for: String,
    },
    /// Too many versions that have left their slots are still in memory.
    #[error(
        "{limit} retired versions are still in memory, which is the bound: {versions}: let their holders \
         finish, or raise `retained_max`"
    )]
    TooManyRetained {
        /// The bound.
        limit: usize,
        /// The versions, with what holds each.
        versions: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl PushError {
    /// A short word for programs, such as `wrong-compiler`. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Accept(error) => error.code(),
            Self::Signature(error) => error.code(),
            Self::Verify(error) => error.code(),
            Self::Rehearse(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Prepare(error) => error.code(),
            Self::Lifecycle(error) => error.code(),
            Self::Yield(error) => error.code(),
            Self::Migrate(error) => error.code(),
            Self::Withheld { .. } => "withheld",
            Self::Record(error) => error.code(),
            Self::Admission(error) => error.code(),
            Self::Instance { source, .. } => source.code(),
            Self::Busy { .. } => "busy",
            Self::TooManyRetained { .. } => "too-many-retained",
            Self::Stopped => "stopped",
        }
    }
}
