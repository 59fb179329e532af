//! Why there is no engine, or no handle of a module's.

use thiserror::Error;

#[cfg(feature = "network")]
use super::NetworkError;
use super::{AuditError, BadProbation, ConfigError, SetError, SignatureError, VerifyError};

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
    /// What is built in doesn't fit the module that it's for.
    #[error("a version that is built in doesn't fit: {0}")]
    BuiltIn(#[from] VerifyError),
    /// A module has two versions that are built in.
    #[error("module `{name}` has two versions that are built in: a module begins with one")]
    BuiltInTwice {
        /// The module.
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
    /// A set can't be meant.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A policy can't be meant.
    #[error("the policy for a probation can't be meant: {0}")]
    Policy(#[from] BadProbation),
    /// The modules' options can't be read, or are set for a module that isn't declared.
    #[error(transparent)]
    Config(#[from] ConfigError),
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
