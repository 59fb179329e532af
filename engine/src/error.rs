//! Why an operation of the engine didn't do what was asked.
//!
//! One type per operation, each with what was found, what was expected and what to do. Each also has a
//! code for programs: stable, whatever the words of the message become.

use thiserror::Error;

use crate::control::SwapStep;

#[cfg(feature = "network")]
pub use crate::admin::{NetworkError, TokensError};
pub use crate::candidate::{
    AcceptError, Demand, ElfError, Exposure, KeyId, ManifestError, SignatureError, Trusted, VerifyError,
};
pub use crate::control::{AuditError, LoadError, MigrationError, PrepareError, RestoreError, YieldError};
pub use crate::host::hook::NoResult;
pub use crate::probation::{BadProbation, RecordError};
pub use crate::rehearsal::report::RehearsalError;
use crate::snapshot::error::DraftError;
pub use crate::snapshot::error::SnapshotError;

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
            Self::Yield(error) => error.code(),
            Self::Migrate(error) => error.code(),
            Self::Withheld { .. } => "withheld",
            Self::Record(error) => error.code(),
            Self::Busy { .. } => "busy",
            Self::TooManyRetained { .. } => "too-many-retained",
            Self::Stopped => "stopped",
        }
    }
}

impl AcceptError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::OpenFolder { .. } => "open-folder",
            Self::TooManyFiles { .. } => "too-many-files",
            Self::NotAFile { .. } => "not-a-file",
            Self::TooLarge { .. } => "too-large",
            Self::Unwritable { .. } => "unwritable",
        }
    }
}

impl VerifyError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.code(),
            Self::WrongContract { .. } => "wrong-contract",
            Self::WrongCompiler { .. } => "wrong-compiler",
            Self::PanicAbort { .. } => "panic-abort",
            Self::UnknownModule { .. } => "unknown-module",
            Self::BadVersion { .. } => "bad-version",
            Self::NameMismatch { .. } => "name-mismatch",
            Self::WrongInterface { .. } => "wrong-interface",
            Self::WrongState { .. } => "wrong-state",
            Self::NoWayBack { .. } => "no-way-back",
            Self::OneWay { .. } => "one-way",
            Self::ConflictingVersion { .. } => "conflicting-version",
            Self::OlderVersion { .. } => "older-version",
        }
    }
}

impl ManifestError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Elf(ElfError::NotElf { .. }) => "not-elf",
            Self::Elf(ElfError::Truncated { .. }) => "truncated",
            Self::Elf(ElfError::WrongMachine { .. }) => "wrong-machine",
            Self::Elf(ElfError::NotALibrary { .. }) => "not-a-library",
            Self::Missing => "no-manifest",
            Self::Damaged(_) => "damaged-manifest",
            Self::TooMuch { .. } => "manifest-too-large",
            Self::Future { .. } => "future-manifest",
        }
    }
}

impl LoadError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "load-failed",
            Self::NoEntry => "no-entry",
            Self::OtherManifest => "other-manifest",
            Self::NoMap(_) => "no-memory-map",
            Self::Bind(_) => "bind-failed",
            Self::NoResult(error) => error.code(),
        }
    }
}

impl PrepareError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "prepare-refused",
            Self::SelfTest { .. } => "self-test-failed",
            Self::Panicked { .. } => "prepare-panicked",
            Self::Restore(error) => error.code(),
            Self::NoResult(error) => error.code(),
        }
    }
}

impl MigrationError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Failed { .. } => "migration-failed",
            Self::PauseMissed { .. } => "pause-missed",
            Self::Lost => "state-lost",
            Self::NoThread(_) => "no-thread",
            Self::NoResult(error) => error.code(),
        }
    }
}

impl RestoreError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.code(),
            Self::OtherState { .. } => "other-snapshot",
            Self::Unusable { .. } => "unusable-snapshot",
        }
    }
}

/// Why a file can't be inspected.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The file can't be read.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// It has no manifest that can be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl InspectError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Accept(error) => error.code(),
            Self::Manifest(error) => error.code(),
        }
    }
}

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
            Self::NotNow(error) => error.code(),
        }
    }
}

/// Why an engine could not be built.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The engine has no module.
    #[error("an engine needs a module: declare one with `Builder::module`")]
    NoModule,
    /// A module's name can't be part of a file's name.
    #[error("`{name}` can't name a module: use letters, digits, `_` and `-`")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two modules have one name.
    #[error("module `{name}` is declared twice: give each module its own name")]
    DeclaredTwice {
        /// The name.
        name: String,
    },
    /// A policy is for a module that isn't declared.
    #[error("found a policy for module `{name}`, expected one of {known}: declare it with `Builder::module`")]
    PolicyOfNone {
        /// The name.
        name: String,
        /// The declared modules.
        known: String,
    },
    /// A policy can't be meant.
    #[error("the policy for a probation can't be meant: {0}")]
    Policy(#[from] BadProbation),
    /// The audit log can't be written.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The admin API can't be served over the network.
    #[cfg(feature = "network")]
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No push could be told to be signed by whom it should be.
    #[error(transparent)]
    Signatures(#[from] SignatureError),
    /// The system refused something that the engine needs.
    #[error("can't {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a module's handle could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The host has no such module.
    #[error("unable to find module: {module}: the host has {known}")]
    Unknown {
        /// What was asked for.
        module: String,
        /// The host's modules.
        known: String,
    },
    /// The module was declared with another interface.
    #[error("module `{module}` was declared with interface `{expected}`, not with `{found}`")]
    OtherInterface {
        /// The module.
        module: String,
        /// The interface that was asked for.
        found: &'static str,
        /// The interface that it was declared with.
        expected: &'static str,
    },
}
