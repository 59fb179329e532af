//! What a line of the audit log says.

use std::fmt::Display;
use std::time::SystemTime;

use humantime::format_rfc3339_millis;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::super::{Allowed, Asker};

/// The most bytes of a text that comes from outside: a candidate's name, or a hook's own words.
const TEXT_MAX: usize = 1024;

/// Something that was asked for, or that has happened by itself, and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'told> {
    #[serde(serialize_with = "who")]
    pub(crate) asker: &'told Asker,
    pub(crate) action: Action,
    /// The module, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded")]
    pub(crate) module: Option<&'told str>,
    /// The candidate's file name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "bounded")]
    pub(crate) candidate: Option<&'told str>,
    /// The version that was pushed, or the one that is active since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    /// Of the bytes that were pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<&'told str>,
    /// What was allowed for once.
    #[serde(skip_serializing_if = "is_nothing", serialize_with = "names")]
    pub(crate) allowed: Allowed,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Push,
    Rollback,
    Commit,
    Snapshot,
    Restore,
    Trust,
    Initialize,
    Start,
    Stop,
    Create,
    Destroy,
    Reload,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Published,
    Unchanged,
    Waiting,
    RolledBack,
    Committed,
    Taken,
    Restored,
    Trusted,
    Initialized,
    Started,
    Stopped,
    Created,
    Destroyed,
    Reloaded,
    Refused { code: &'static str, message: String },
}

impl Outcome {
    pub(crate) fn refused(code: &'static str, error: &impl Display) -> Self {
        Self::Refused { code, message: cut(&error.to_string()).to_owned() }
    }
}

impl<'told> Entry<'told> {
    /// An entry about a module, or about nothing that is known yet.
    pub(crate) fn new(
        asker: &'told Asker,
        action: Action,
        module: Option<&'told str>,
        outcome: Outcome,
    ) -> Self {
        let allowed = Allowed::default();
        Self { asker, action, module, candidate: None, version: None, sha256: None, allowed, outcome }
    }

    /// The line. JSON writes a line break within a text as `\n`, so no name can begin a line of its own.
    pub(super) fn line(&self, now: SystemTime) -> String {
        #[derive(Serialize)]
        struct Line<'told> {
            time: String,
            #[serde(flatten)]
            entry: &'told Entry<'told>,
        }

        let line = Line { time: format_rfc3339_millis(now).to_string(), entry: self };
        serde_json::to_string(&line).expect("it has only texts, numbers and lists")
    }
}

fn who<S: Serializer>(asker: &&Asker, serializer: S) -> Result<S::Ok, S::Error> {
    describe(asker).serialize(serializer)
}

fn describe(asker: &Asker) -> Value {
    match asker {
        Asker::Host => json!({ "road": "host" }),
        Asker::Folder(folder) => json!({ "road": "folder", "folder": folder.display().to_string() }),
        Asker::Socket { user, process } => json!({ "road": "socket", "user": user, "process": process }),
        Asker::Network { token, address } => json!({ "road": "network", "token": token, "address": address }),
        Asker::Engine { reason: Some(reason) } => json!({ "road": "engine", "reason": reason }),
        Asker::Engine { reason: None } => json!({ "road": "engine" }),
    }
}

fn bounded<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    text.map(cut).serialize(serializer)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

fn is_nothing(allowed: &Allowed) -> bool {
    allowed.names().is_empty()
}

fn names<S: Serializer>(allowed: &Allowed, serializer: S) -> Result<S::Ok, S::Error> {
    allowed.names().serialize(serializer)
}
