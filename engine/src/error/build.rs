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
    /// A module is registered by two interfaces.
    #[error(
        "module `{name}` is registered by interface `{found}`, and was by `{expected}`: give each module its own name"
    )]
    OtherInterface {
        /// The name.
        name: String,
        /// The later interface.
        found: &'static str,
        /// The earlier one.
        expected: &'static str,
    },
    /// An instance has another interface than its factory.
    #[error(
        "instance `{instance}` is registered by interface `{found}`, and its factory `{factory}` by `{expected}`: name the \
         same one"
    )]
    InstanceOfOtherInterface {
        /// The instance.
        instance: String,
        /// Its factory.
        factory: String,
        /// The instance's interface.
        found: &'static str,
        /// The factory's.
        expected: &'static str,
    },
    /// A factory has the name of a module.
    #[error("`{name}` is declared as a factory and as a module: give each its own name")]
    FactoryIsModule {
        /// The name.
        name: String,
    },
    /// Modules require each other.
    #[error("found modules that require each other: {members}: take one of these requirements away")]
    Cycle {
        /// Their names, each before the one that it requires; the first one at the end again.
        members: String,
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
    /// A pool is for a module that isn't declared.
    #[error("found a pool for module `{name}`, expected one of {known}: declare it with `Builder::module`")]
    PoolOfNone {
        /// The name.
        name: String,
        /// The declared modules.
        known: String,
    },
    /// A pool has no threads.
    #[error(
        "found a pool of 0 threads for module `{name}`, expected 1 at least: nothing would ever run in it"
    )]
    EmptyPool {
        /// The module.
        name: String,
    },
    /// A tick is for a module that isn't declared.
    #[error("found a tick for module `{name}`, expected one of {known}: declare it with `Builder::module`")]
    TickOfNone {
        /// The name.
        name: String,
        /// The declared modules.
        known: String,
    },
    /// A tick calls a module through an interface that it wasn't declared with.
    #[error(
        "found a tick with interface `{found}` for module `{name}`, expected `{expected}`: name the interface that the \
         module is declared with"
    )]
    TickOfOtherInterface {
        /// The module.
        name: String,
        /// The tick's interface.
        found: &'static str,
        /// The module's.
        expected: &'static str,
    },
    /// A tick has no time to pass in between.
    #[error(
        "found a tick with a period of 0 for module `{name}`, expected a longer one: say how often it's due"
    )]
    TickWithoutPeriod {
        /// The module.
        name: String,
    },
    /// The watched folders are to be looked through with no time in between.
    #[error(
        "found a period of 0 for looking through the watched folders, expected a longer one: say how often"
    )]
    RescanWithoutPeriod,
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
    #[error("unable to find plugin: {module}")]
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
