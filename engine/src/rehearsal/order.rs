//! What the child is given, and what it says: the two ends of a rehearsal meet here.
//!
//! It's given a folder with a file [`ORDER`], and beside that the recorded calls and the copy of the state, if there
//! are any. It says one [`Message`] after the other, each a line of JSON on what was its standard output: first what
//! it's built of, then what it's about to do, before it does it; so whoever hears nothing more knows where that was.
//! The last one says how all of it ended.

use std::fmt;
use std::path::PathBuf;

use liveswap_state::{COMPILER, CONTRACT};
use serde::{Deserialize, Serialize};

use super::report::NotCompared;

/// The order's file.
pub(crate) const ORDER: &str = "order";
/// The recorded calls: the codec's bytes of a list of names of methods, each with the bytes of its arguments.
pub(crate) const CALLS: &str = "calls";
/// The copy of the state, as a snapshot.
pub(crate) const STATE: &str = "state";

/// What is to be rehearsed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The process that the child may not outlive.
    pub(crate) parent: i32,
    /// The private copy of the candidate.
    pub(crate) candidate: PathBuf,
    /// That of the active version.
    pub(crate) running: Option<PathBuf>,
    /// Whether there is a copy of the state.
    pub(crate) has_state: bool,
    /// The most bytes that a library may have.
    pub(crate) candidate_size_max: u64,
    /// How much address space the child may have, in bytes.
    pub(crate) memory_max: Option<u64>,
    /// How long it may use processors, in seconds.
    pub(crate) processor_max_s: Option<u64>,
    /// The methods whose calls aren't made, because the active version doesn't bear it.
    pub(crate) excluded: Vec<String>,
    /// What is set for the module, as TOML.
    pub(crate) options: String,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Message {
    /// What it's built of. Before anything else.
    Hello(Build),
    /// What it's about to do.
    Stage(Stage),
    /// The candidate has passed.
    Passed(Passed),
    /// The candidate has failed, or the rehearsal has.
    Failed {
        /// What was being done.
        stage: Stage,
        /// Why.
        reason: String,
    },
    /// The answers to a call differ.
    Disagreed {
        /// The method.
        method: String,
        /// Its arguments, for people to read.
        arguments: String,
        /// What the candidate answers.
        found: String,
        /// What the active version answers.
        expected: String,
    },
}

/// What a program is built of, as far as that decides what it can load.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    release: String,
    contract: u32,
    compiler: String,
}

impl Build {
    /// What this program is built of.
    pub(crate) fn own() -> Self {
        Self {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            contract: CONTRACT,
            compiler: COMPILER.to_owned(),
        }
    }
}

impl fmt::Display for Build {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, contract, compiler } = self;
        write!(formatter, "release {release}, contract {contract}, compiler `{compiler}`")
    }
}

/// Which of the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    Running,
    Candidate,
}

/// What is done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Doing {
    Load,
    Prepare,
    Create,
    Configure,
    Restore,
    SelfTest,
    Migrate,
    MigrateBack,
    Look,
    Replay { method: String },
    Destroy,
    Retire,
}

/// A step of a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) side: Side,
    pub(crate) doing: Doing,
}

impl Stage {
    /// Whether it's the candidate's own code that runs.
    pub(crate) fn is_of_candidate(&self) -> bool {
        self.side == Side::Candidate
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.side {
            Side::Running => "the active version",
            Side::Candidate => "the candidate",
        };
        match &self.doing {
            Doing::Load => write!(formatter, "loading {version}"),
            Doing::Prepare => write!(formatter, "in `prepare` of {version}"),
            Doing::Create => write!(formatter, "in `create` of {version}"),
            Doing::Configure => write!(formatter, "in `configure` of {version}"),
            Doing::Restore => write!(formatter, "making the state's copy with {version}"),
            Doing::SelfTest => write!(formatter, "in `self_test` of {version}"),
            Doing::Migrate => write!(formatter, "migrating the state's copy to the shape of {version}"),
            Doing::MigrateBack => {
                write!(formatter, "migrating the state's copy back from the shape of {version}")
            }
            Doing::Look => write!(formatter, "reading a copy of the state of {version}"),
            Doing::Replay { method } => {
                write!(formatter, "making a recorded call of `{method}` on {version}")
            }
            Doing::Destroy => write!(formatter, "dropping the state's copy with {version}"),
            Doing::Retire => write!(formatter, "in `teardown` and `unload` of {version}"),
        }
    }
}

/// What was done with a candidate that has passed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passed {
    pub(crate) calls: u64,
    pub(crate) compared: u64,
    pub(crate) not_compared: Vec<NotCompared>,
}
