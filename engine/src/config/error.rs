//! Why the configuration can't be read, and why a module doesn't take it.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::control::ConfigureError;

/// Why the configuration can't be read. What was in force before still is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Options are set for a module that the host doesn't have.
    #[error("unable to find plugin: {module}")]
    UnknownModule {
        /// The name.
        module: String,
    },
    /// The file can't be read.
    #[error("can't read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large.
    #[error("the configuration {} has more than {limit} bytes, which is the bound", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The file isn't TOML.
    #[error("the configuration {} isn't TOML: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where, and what was expected.
        reason: String,
    },
    /// What must be a table isn't one.
    #[error(
        "the configuration {}: `{key}`: found {found}, expected a table, such as `[modules.NAME]`", path.display()
    )]
    NotATable {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What was found.
        found: String,
    },
    /// A variable of the environment sets what it can't.
    #[error("the environment's {variable}: found {found}, expected {expected}")]
    Variable {
        /// The variable.
        variable: String,
        /// Its value.
        found: String,
        /// What was expected.
        expected: String,
    },
}

impl ConfigError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModule { .. } => "unknown-module",
            Self::Unreadable { .. } => "unreadable-config",
            Self::TooLarge { .. } => "config-too-large",
            Self::Malformed { .. } => "malformed-config",
            Self::NotATable { .. } => "not-a-table",
            Self::Variable { .. } => "bad-variable",
        }
    }
}

/// Why a change of the configuration isn't in force everywhere.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// It can't be read: nothing has changed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Modules don't take their options and keep those before. All others have theirs.
    #[error("modules keep the options that they had: {}", list(.refused))]
    Refused {
        /// Each module, with the reason.
        refused: Vec<(String, ConfigureError)>,
    },
    /// The control thread is asked by itself, or by who it may wait for, or is busy.
    #[error("{waits_for}: reload when that is done")]
    Busy {
        /// What it would have to wait for.
        waits_for: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl ReloadError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config(error) => error.code(),
            Self::Refused { refused } => {
                refused.first().map_or("configure-refused", |(_, error)| error.code())
            }
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }
}

fn list(refused: &[(String, ConfigureError)]) -> String {
    let each = refused.iter().map(|(module, error)| format!("`{module}`: {error}"));
    each.collect::<Vec<_>>().join("; ")
}
