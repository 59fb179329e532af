//! What can be wrong with a candidate, or with the state that it's to have, step by step.
//!
//! Each step's error stands beside the step, and is made there. Their codes stand here, side by side: whoever adds one
//! sees which are taken.

use thiserror::Error;

use super::{
    AcceptError, ElfError, LoadError, ManifestError, MigrationError, PrepareError, RestoreError, VerifyError,
};

impl AcceptError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::OpenFolder { .. } => "open-folder",
            Self::TooManyFiles { .. } => "too-many-files",
            Self::TooDeep { .. } => "too-deep",
            Self::LeadsOut { .. } => "leads-out",
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
            Self::WrongAbi { .. } => "wrong-abi",
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
            Self::Configure(error) => error.code(),
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
            Self::NoResult(error) => error.code(),
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
