//! Why a state could not be written down, or not be put right.

use thiserror::Error;

use super::{ConfigureError, PushError, RestoreError};
use crate::snapshot::error::DraftError;

/// Why a snapshot could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    UnknownModule {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// The host keeps no snapshots.
    #[error("the host keeps no snapshots of module `{module}`: give it a folder with `Builder::snapshots`")]
    NotConfigured {
        /// The module.
        module: String,
    },
    /// There is nothing to take one of.
    #[error("module `{module}` has no state yet: push a version first")]
    NoState {
        /// The module.
        module: String,
    },
    /// A migration of the state began.
    #[error("the state of module `{module}` is being migrated: take a snapshot when that is done")]
    Cancelled {
        /// The module.
        module: String,
    },
    /// A panic may have left the state half changed, and calls are kept out of it.
    #[error(
        "the state of module `{module}` may be half changed, by a panic in `{by}`: restore or trust it first, and then \
         take a snapshot"
    )]
    Suspect {
        /// The module.
        module: String,
        /// The method.
        by: String,
    },
    /// There was no moment without a call in the state.
    #[error(
        "tried {attempts} times to have no call in the state of module `{module}` for a moment: try again when the \
         long ones have returned, or raise `pause_max`"
    )]
    PauseMissed {
        /// The module.
        module: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A value of the state has no bytes.
    #[error("the state can't be written down: {reason}")]
    Unencodable {
        /// Why.
        reason: String,
    },
    /// It can't be written to the disk.
    #[error("{reason}")]
    Unwritable {
        /// A short word for programs.
        code: &'static str,
        /// What failed, and what to do.
        reason: String,
    },
    /// The system gives no thread for it.
    #[error("can't start the snapshot's thread: {reason}: raise the limit of threads")]
    NoThread {
        /// What the system said.
        reason: String,
    },
    /// A swap is under way.
    #[error("{waits_for}: take a snapshot when that is done")]
    Busy {
        /// What it would have to wait for.
        waits_for: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl TakeError {
    pub(crate) fn unwritable(error: &DraftError) -> Self {
        Self::Unwritable { code: error.code(), reason: error.to_string() }
    }

    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::NotConfigured { .. } => "no-snapshots",
            Self::NoState { .. } => "no-state",
            Self::Cancelled { .. } => "cancelled",
            Self::Suspect { .. } => "suspect",
            Self::PauseMissed { .. } => "pause-missed",
            Self::Unencodable { .. } => "unencodable",
            Self::Unwritable { code, .. } => code,
            Self::NoThread { .. } => "no-thread",
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }
}

/// Why nothing was done about a state that may be half changed. It is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    UnknownModule {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// The module has no state.
    #[error("module `{module}` has no state yet: push a version first")]
    NoState {
        /// The module.
        module: String,
    },
    /// The host keeps no snapshots.
    #[error("the host keeps no snapshots of module `{module}`: give it a folder with `Builder::snapshots`")]
    NotConfigured {
        /// The module.
        module: String,
    },
    /// There is no snapshot that is intact.
    #[error(
        "found no snapshot of module `{module}` that is intact: bring one back from a backup, or trust the state"
    )]
    NoSnapshot {
        /// The module.
        module: String,
    },
    /// There is nothing to trust.
    #[error("the state of module `{module}` isn't suspect")]
    NothingSuspect {
        /// The module.
        module: String,
    },
    /// The active version can't begin with the snapshot.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The state of the snapshot doesn't take what is set for the module.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// It can't be done now.
    #[error(transparent)]
    NotNow(#[from] PushError),
}

impl RecoverError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::NoState { .. } => "no-state",
            Self::NotConfigured { .. } => "no-snapshots",
            Self::NoSnapshot { .. } => "no-snapshot",
            Self::NothingSuspect { .. } => "nothing-suspect",
            Self::Restore(error) => error.code(),
            Self::Configure(error) => error.code(),
            Self::NotNow(error) => error.code(),
        }
    }
}
