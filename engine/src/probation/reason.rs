//! Why a version was rolled back: one reason, the first that was found.

use serde::Serialize;
use thiserror::Error;

/// Why a version isn't active any more, and its predecessor is.
#[derive(Clone, Debug, PartialEq, Serialize, Error)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// Too many calls panicked.
    #[error("{panics} of {calls} calls panicked, and {allowed} of 1,000 may")]
    Panics {
        /// How many calls there were.
        calls: u64,
        /// How many of them panicked.
        panics: u64,
        /// How many of 1,000 may.
        allowed: u32,
    },
    /// Too many results were errors.
    #[error(
        "{errors} of {calls} results were errors, and {allowed:.0} of 1,000 may be (of its predecessor's, {usual:.0} were)"
    )]
    Errors {
        /// How many calls there were.
        calls: u64,
        /// How many of them had an error for their result.
        errors: u64,
        /// How many of 1,000 may.
        allowed: f64,
        /// How many of 1,000 had one with the predecessor.
        usual: f64,
    },
    /// A method takes too long.
    #[error(
        "`{method}` takes {found_us:.1} µs, and may take {allowed_us:.1} (with its predecessor, it took {usual_us:.1})"
    )]
    Slower {
        /// The method.
        method: String,
        /// The median, in microseconds.
        found_us: f64,
        /// What it may be.
        allowed_us: f64,
        /// What it was with the predecessor.
        usual_us: f64,
    },
    /// Its `health` hook said so, or panicked.
    #[error("it isn't well: {reason}")]
    Unhealthy {
        /// The hook's own words, or those of its panic.
        reason: String,
    },
    /// Its `health` hook didn't return.
    #[error("its `health` hook hasn't returned within {waited_ms} ms")]
    HealthHookHung {
        /// For how long it was waited for, in milliseconds.
        waited_ms: u64,
    },
    /// A call doesn't return.
    #[error("thread `{thread}` ({thread_id}) has been stuck in `{method}` for {age_ms} ms")]
    Stuck {
        /// The thread's name.
        thread: String,
        /// The kernel's number for it.
        thread_id: i32,
        /// The method.
        method: String,
        /// For how long at least, in milliseconds.
        age_ms: u64,
    },
    /// An exclusive call of it has panicked, and the host lets no call at a state that may be half changed.
    #[error("`{method}` panicked while it had the state alone, and calls are kept out of the state")]
    Suspect {
        /// The method.
        method: String,
    },
    /// A part of the state can't be migrated.
    #[error("a part of the state can't be migrated")]
    MigrationStuck,
    /// Somebody asked for it.
    #[error("it was asked for")]
    ByHand,
    /// The process ended while the version was on probation, and not in good order.
    #[error("the process ended while it was on probation, and not in good order")]
    Crashed,
}

impl Reason {
    /// A short word for programs, such as `panics`. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Panics { .. } => "panics",
            Self::Errors { .. } => "errors",
            Self::Slower { .. } => "slower",
            Self::Unhealthy { .. } => "unhealthy",
            Self::HealthHookHung { .. } => "health-hook-hung",
            Self::Stuck { .. } => "stuck",
            Self::Suspect { .. } => "suspect",
            Self::MigrationStuck => "migration-stuck",
            Self::ByHand => "by-hand",
            Self::Crashed => "crashed",
        }
    }

    /// Whether it was the engine that found it, and not a person.
    pub(crate) fn is_found(&self) -> bool {
        *self != Self::ByHand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_part_of_what_programs_read() {
        for reason in [
            Reason::Panics { calls: 100, panics: 5, allowed: 10 },
            Reason::HealthHookHung { waited_ms: 1 },
            Reason::MigrationStuck,
            Reason::ByHand,
        ] {
            assert_eq!(serde_json::to_value(&reason).unwrap()["code"], reason.code());
        }
        let reason = Reason::Panics { calls: 100, panics: 5, allowed: 10 };
        assert_eq!(reason.to_string(), "5 of 100 calls panicked, and 10 of 1,000 may");
    }
}
