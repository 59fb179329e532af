//! Why a module isn't in the phase that was asked for.

use thiserror::Error;

use super::LifecyclePhase;
use crate::candidate::VersionNumber;
use crate::error::{NoResult, PushError};

/// Why a module isn't in the phase of its life that was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// The host has no such module.
    #[error("unable to find plugin: {module}")]
    UnknownModule {
        /// What was asked for.
        module: String,
    },
    /// The module is in another phase.
    #[error("module `{module}` is {found}, expected {expected}: {}", what_to_do(*found, *expected))]
    OutOfOrder {
        /// The module.
        module: String,
        /// The phase that it is in.
        found: LifecyclePhase,
        /// The phase that it would have to be in.
        expected: LifecyclePhase,
    },
    /// The module requires others, and they aren't there.
    #[error("module `{module}` requires {missing}, found no version that is initialized: push those first")]
    MissingDependencies {
        /// The module.
        module: String,
        /// What it requires and isn't there.
        missing: String,
    },
    /// The module requires one that was stopped.
    #[error("module `{module}` requires `{stopped}`, which was stopped and stays so: start the host again")]
    DependencyStopped {
        /// The module.
        module: String,
        /// The one that it requires.
        stopped: String,
    },
    /// There is nothing to initialize.
    #[error("module `{module}` has no version to initialize: push one first")]
    NoVersion {
        /// The module.
        module: String,
    },
    /// The module's hook says that it can't.
    #[error("module `{module}` failed in `{hook}`: {reason}")]
    Failed {
        /// The module.
        module: String,
        /// The hook.
        hook: &'static str,
        /// The hook's own words.
        reason: String,
    },
    /// The module's hook panicked.
    #[error("module `{module}` panicked in `{hook}` at {location}: {message}")]
    Panicked {
        /// The module.
        module: String,
        /// The hook.
        hook: &'static str,
        /// The panic's message.
        message: String,
        /// Where it panicked.
        location: String,
    },
    /// The module's hook has no result.
    #[error("module `{module}`: {source}")]
    NoResult {
        /// The module.
        module: String,
        /// Why.
        source: NoResult,
    },
    /// The module's `start` was given up, and hasn't returned yet.
    #[error(
        "`start` of module `{module}` has missed its deadline in version {version} and hasn't returned yet; if it \
         succeeds, it's stopped again at once: start it again after that (see the status)"
    )]
    StillStarting {
        /// The module.
        module: String,
        /// The version whose hook it is.
        version: VersionNumber,
    },
    /// The hook wasn't called, because calls are kept out of the state.
    #[error(
        "`{hook}` of module `{module}` isn't called: `{by}` has panicked and may have left the state half changed; \
         have it restored or trust it before"
    )]
    Suspect {
        /// The module.
        module: String,
        /// The hook.
        hook: &'static str,
        /// The method, or the hook, that has panicked.
        by: String,
    },
    /// The hook wasn't called, because it couldn't have the state alone.
    #[error("`{hook}` of module `{module}` isn't called: {reason}")]
    Occupied {
        /// The module.
        module: String,
        /// The hook.
        hook: &'static str,
        /// What keeps it from the state, with names.
        reason: String,
    },
    /// The version that was to be the module's first one was refused.
    #[error("module `{module}` has no first version: {source}")]
    FirstVersion {
        /// The module.
        module: String,
        /// Why.
        source: Box<PushError>,
    },
    /// More than one module has failed.
    #[error("{}", failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several {
        /// Each one's failure.
        failures: Vec<LifecycleError>,
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

impl LifecycleError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::MissingDependencies { .. } => "missing-dependencies",
            Self::DependencyStopped { .. } => "dependency-stopped",
            Self::NoVersion { .. } => "no-version",
            Self::Failed { .. } => "lifecycle-failed",
            Self::Panicked { .. } => "lifecycle-panicked",
            Self::NoResult { source, .. } => source.code(),
            Self::StillStarting { .. } => "still-starting",
            Self::Suspect { .. } => "suspect",
            Self::Occupied { .. } => "state-occupied",
            Self::FirstVersion { source, .. } => source.code(),
            Self::Several { .. } => "several",
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the same content would fail again.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Panicked { .. } => true,
            Self::NoResult { source, .. } => source.code() != "no-thread",
            _ => false,
        }
    }
}

fn what_to_do(found: LifecyclePhase, expected: LifecyclePhase) -> &'static str {
    match (found, expected) {
        (LifecyclePhase::Stopped, _) => "a module that was stopped stays so, start the host again",
        (LifecyclePhase::Registered, _) => "initialize it first",
        (LifecyclePhase::Initialized, _) => "start it first",
        (LifecyclePhase::Started, _) => "it has started already",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_order_says_what_was_found_what_was_expected_and_what_to_do() {
        let error = LifecycleError::OutOfOrder {
            module: "net".to_owned(),
            found: LifecyclePhase::Registered,
            expected: LifecyclePhase::Initialized,
        };
        let message = "module `net` is registered, expected initialized: initialize it first";
        assert_eq!((error.to_string().as_str(), error.code()), (message, "out-of-order"));
    }
}
