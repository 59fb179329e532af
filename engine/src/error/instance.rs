//! Why an instance was not created, or not destroyed.

use thiserror::Error;

use super::{BuildError, LifecycleError, PushError};
use crate::lifecycle::LifecyclePhase;

/// Why an instance of a factory was not created, or not destroyed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The host has no such factory.
    #[error("unable to find factory: {factory}: the host has {known}")]
    UnknownFactory {
        /// What was asked for.
        factory: String,
        /// The host's factories.
        known: String,
    },
    /// The name can't be part of a file's name.
    #[error("`{name}` can't name an instance: use letters, digits, `_` and `-`")]
    BadName {
        /// The name.
        name: String,
    },
    /// Another module, or a factory, has the name.
    #[error("`{name}` is the name of another module or a factory: give the instance one of its own")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The engine has as many modules as it may.
    #[error(
        "instance `{instance}` would be one more than the {limit} modules that the engine may have: destroy others, or \
         raise `modules_max`"
    )]
    TooMany {
        /// The instance.
        instance: String,
        /// The bound.
        limit: usize,
    },
    /// The factory has no version that the instance could begin with.
    #[error("factory `{factory}` has no version for instance `{instance}` to begin with: push one first")]
    NoVersion {
        /// The factory.
        factory: String,
        /// The instance.
        instance: String,
    },
    /// What it requires isn't there.
    #[error("instance `{instance}` requires `{required}`, and the host has {known}: name one of these")]
    UnknownRequirement {
        /// The instance.
        instance: String,
        /// What it requires.
        required: String,
        /// The host's modules.
        known: String,
    },
    /// What it requires doesn't run.
    #[error(
        "instance `{instance}` requires `{required}`, which is {found}, expected started: start that first"
    )]
    RequirementNotStarted {
        /// The instance.
        instance: String,
        /// What it requires.
        required: String,
        /// The phase that this is in.
        found: LifecyclePhase,
    },
    /// It can't be made.
    #[error("instance `{instance}` can't be made: {source}")]
    Unmade {
        /// The instance.
        instance: String,
        /// Why.
        source: Box<BuildError>,
    },
    /// It can't begin with the factory's version. It's gone.
    #[error("instance `{instance}` can't begin: {source}")]
    Refused {
        /// The instance.
        instance: String,
        /// Why.
        source: Box<PushError>,
    },
    /// It has failed to start. It's gone.
    #[error("instance `{instance}` isn't created: {source}")]
    NotStarted {
        /// The instance.
        instance: String,
        /// Why.
        source: LifecycleError,
    },
    /// The host has no such module.
    #[error("unable to find plugin: {instance}")]
    Unknown {
        /// What was asked for.
        instance: String,
    },
    /// It's a module, and no instance.
    #[error(
        "module `{module}` is no instance of a factory, and stays as long as the engine: stop it instead"
    )]
    NotAnInstance {
        /// The module.
        module: String,
    },
    /// Other modules require it.
    #[error("instance `{instance}` is required by {by}: destroy those first")]
    Required {
        /// The instance.
        instance: String,
        /// The modules that require it.
        by: String,
    },
    /// Calls are still inside, or leases hold it. It's closed, and it is still there.
    #[error("instance `{instance}` is held by {holders}: it's closed, destroy it again when they are done")]
    Occupied {
        /// The instance.
        instance: String,
        /// Who holds it.
        holders: String,
    },
    /// Its `stop` hook has failed. It's gone all the same.
    #[error("instance `{instance}` is destroyed, but was not stopped well: {source}")]
    NotStopped {
        /// The instance.
        instance: String,
        /// Why.
        source: LifecycleError,
    },
    /// Something else is under way.
    #[error("{waits_for}: ask again when that is done")]
    Busy {
        /// What it would have to wait for.
        waits_for: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl InstanceError {
    /// A short word for programs. If a version or a hook was at fault, it's that of its own error. It doesn't change
    /// between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownFactory { .. } => "unknown-factory",
            Self::BadName { .. } => "bad-name",
            Self::NameTaken { .. } => "name-taken",
            Self::TooMany { .. } => "too-many-modules",
            Self::NoVersion { .. } => "no-version",
            Self::UnknownRequirement { .. } | Self::Unknown { .. } => "unknown-module",
            Self::RequirementNotStarted { .. } => "missing-dependencies",
            Self::Unmade { .. } => "module-unmade",
            Self::Refused { source, .. } => source.code(),
            Self::NotStarted { source, .. } | Self::NotStopped { source, .. } => source.code(),
            Self::NotAnInstance { .. } => "not-an-instance",
            Self::Required { .. } => "is-required",
            Self::Occupied { .. } => "occupied",
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }
}
