//! Why there is no such set, or why one was not pushed.

use thiserror::Error;

use super::PushError;

/// Why a set can't be declared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SetError {
    /// Two sets have one name, or one has none.
    #[error("set `{set}` is declared twice, or without a name: give each set its own name")]
    BadName {
        /// The name.
        set: String,
    },
    /// It has fewer members than two.
    #[error(
        "found {found} members of set `{set}`, expected two at least: declare those that change together"
    )]
    TooFew {
        /// The set.
        set: String,
        /// How many it has.
        found: usize,
    },
    /// A member isn't declared.
    #[error(
        "found member `{module}` of set `{set}`, expected one of {known}: declare it with `Builder::module`"
    )]
    UnknownMember {
        /// The set.
        set: String,
        /// The member.
        module: String,
        /// The declared modules.
        known: String,
    },
    /// A module is in two sets, or in one twice.
    #[error("module `{module}` of set `{set}` is in set `{other}` already: a module is in one set at most")]
    MemberTwice {
        /// The module.
        module: String,
        /// The later set.
        set: String,
        /// The earlier one.
        other: String,
    },
}

/// Why a set was not pushed. All active versions are as they were.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetPushError {
    /// The host has no such set.
    #[error("unable to find set: {set}: the host has {known}")]
    Unknown {
        /// What was asked for.
        set: String,
        /// The host's sets.
        known: String,
    },
    /// There is nothing to push.
    #[error("found no candidate for set `{set}`, expected one at least: name the files to push")]
    Empty {
        /// The set.
        set: String,
    },
    /// There are more candidates than may be pushed at once.
    #[error("found {found} candidates, expected {limit} at most: push some of them alone")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A candidate is for a module that isn't of the set.
    #[error("found a candidate for module `{module}`, expected one of set `{set}`: {members}")]
    NotAMember {
        /// The set.
        set: String,
        /// The candidate's module.
        module: String,
        /// The set's members.
        members: String,
    },
    /// Two candidates are for one module.
    #[error("found two candidates for module `{module}` of set `{set}`: push one for each module")]
    Twice {
        /// The set.
        set: String,
        /// The module.
        module: String,
    },
    /// One of the candidates was refused, and so all were.
    #[error("set `{set}` isn't pushed because of {candidate}: {source}")]
    Refused {
        /// The set.
        set: String,
        /// The name of the candidate's file.
        candidate: String,
        /// Why that was refused.
        source: Box<PushError>,
    },
    /// A swap is under way.
    #[error("{waits_for}: push again when that is done")]
    Busy {
        /// What the push would have to wait for.
        waits_for: String,
    },
    /// The engine has stopped.
    #[error("the engine has stopped: start the host again")]
    Stopped,
}

impl SetPushError {
    /// A short word for programs. If a candidate was refused, it's that of its own error. It doesn't change between
    /// releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "unknown-set",
            Self::Empty { .. } => "no-candidate",
            Self::TooMany { .. } => "too-many-candidates",
            Self::NotAMember { .. } => "not-a-member",
            Self::Twice { .. } => "module-twice",
            Self::Refused { source, .. } => source.code(),
            Self::Busy { .. } => "busy",
            Self::Stopped => "stopped",
        }
    }
}
