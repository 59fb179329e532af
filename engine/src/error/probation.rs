//! Why a rollback or a commit didn't happen: a version neither leaves nor stays for good.

use thiserror::Error;

use super::{PushError, RecordError};

/// Why a rollback didn't happen. The active version is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    UnknownModule {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// There is nothing to return to.
    #[error("module `{module}` has no predecessor to return to: push the version that is wanted")]
    NoPredecessor {
        /// The module.
        module: String,
    },
    /// The module was swapped as one with others of its set, and one of these can't be rolled back. None is.
    #[error("set `{set}` isn't rolled back because of module `{module}`: {source}")]
    InSet {
        /// The set.
        set: String,
        /// The module.
        module: String,
        /// Why that one can't be.
        source: Box<RollbackError>,
    },
    /// The predecessor can't be loaded again, or the state can't be given back to it.
    #[error(transparent)]
    Reload(#[from] PushError),
}

impl RollbackError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::NoPredecessor { .. } => "no-predecessor",
            Self::InSet { source, .. } => source.code(),
            Self::Reload(error) => error.code(),
        }
    }
}

/// Why a commit didn't happen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    UnknownModule {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// No version is on probation.
    #[error("module `{module}` has no version on probation: there is nothing to commit")]
    NothingToCommit {
        /// The module.
        module: String,
    },
    /// The next start can't be told that the version isn't on probation any more.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A swap is under way.
    #[error("{waits_for}: commit again when that is done")]
    Busy {
        /// What the commit would have to wait for.
        waits_for: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl CommitError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::NothingToCommit { .. } => "nothing-to-commit",
            Self::Record(error) => error.code(),
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }
}
