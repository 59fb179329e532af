//! Why what was asked for didn't happen.

use std::fmt::Display;
use std::io;
use std::path::Path;

use liveswap::error::{InspectError, SignatureError};
use serde::Deserialize;

/// A code for programs, which doesn't change between releases, and a message for people. This is also what
/// the engine answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    fn new(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message }
    }

    pub(crate) fn no_admin_socket() -> Self {
        let message = "found no admin socket to ask: give `--admin SOCK`, or set LIVESWAP_ADMIN".to_owned();
        Self::new("no-admin-socket", message)
    }

    pub(crate) fn no_server(socket: &Path, error: &io::Error) -> Self {
        let socket = socket.display();
        let message = format!("can't connect to {socket}: {error}: check the path, and that the host runs");
        Self::new("no-server", message)
    }

    /// The connection ended without an answer.
    pub(crate) fn no_answer(error: &dyn Display) -> Self {
        let message = format!("the host didn't answer: {error}: ask for its `status` to see what happened");
        Self::new("no-answer", message)
    }

    /// The answer isn't one of an engine's.
    pub(crate) fn bad_answer(error: &dyn Display) -> Self {
        let message = format!(
            "can't understand the answer: {error}: check that a liveswap host of this release serves it"
        );
        Self::new("bad-answer", message)
    }

    pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let file = file.display();
        Self::new("unreadable", format!("can't read {file}: {error}: check the path and its permissions"))
    }

    pub(crate) fn not_a_file(file: &Path) -> Self {
        let file = file.display();
        Self::new("not-a-file", format!("{file} isn't a regular file: push a shared library"))
    }

    /// The candidate was published, and then a part of the state turned out not to be migratable.
    pub(crate) fn stuck(reason: &str, what_then: &str) -> Self {
        let message = format!(
            "a part of the state can't be migrated: {reason}: {what_then}: mend the migration, or the value, and push \
             again"
        );
        Self::new("migration-stuck", message)
    }

    /// Standard output can't be written to.
    pub(crate) fn unprinted(error: io::Error) -> Self {
        Self::new("unprinted", format!("can't write to standard output: {error}"))
    }

    /// The system refused what every request needs.
    pub(crate) fn system(error: io::Error) -> Self {
        Self::new("system", format!("can't prepare the connection: {error}"))
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<SignatureError> for Failure {
    fn from(error: SignatureError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
