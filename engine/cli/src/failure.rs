//! Why what was asked for didn't happen.

use std::fmt::Display;
use std::io;
use std::path::Path;

use liveswap::error::{InspectError, SignatureError};
use serde::Deserialize;

/// A code for programs, which doesn't change between releases, and a message for people. This is also what
/// the engine answers.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    /// The exit status.
    #[serde(skip, default = "failed")]
    pub(crate) status: u8,
}

/// The exit status if what was asked for didn't happen.
fn failed() -> u8 {
    1
}

/// The exit status if it did, and was taken back.
const ROLLED_BACK: u8 = 3;

impl Failure {
    fn new(code: &str, message: String) -> Self {
        Self { code: code.to_owned(), message, status: failed() }
    }

    pub(crate) fn no_admin_socket() -> Self {
        let message =
            "found no admin socket to ask: give `--admin SOCK` or `--admin https://HOST:PORT`, or set \
                       LIVESWAP_ADMIN"
                .to_owned();
        Self::new("no-admin-socket", message)
    }

    /// `what` is what the place is given by: a path or an address.
    pub(crate) fn no_server(place: &dyn Display, what: &str, error: &io::Error) -> Self {
        let message = format!("can't connect to {place}: {error}: check the {what}, and that the host runs");
        Self::new("no-server", message)
    }

    pub(crate) fn bad_address(address: &str) -> Self {
        let message =
            format!("`{address}` is no address to ask at: expected `https://HOST:PORT`, or a socket's path");
        Self::new("bad-address", message)
    }

    /// The host isn't who it should be. Nothing was sent to it.
    pub(crate) fn untrusted_server(authority: &str, reason: &str) -> Self {
        let message = format!(
            "{authority} isn't the host that the certificate is of: {reason}: check the address, and that \
             `--certificate` names the host's certificate or the one that signs it"
        );
        Self::new("untrusted-server", message)
    }

    pub(crate) fn no_certificate() -> Self {
        let message = "found no certificate to know the host by: give `--certificate FILE`, or set \
                       LIVESWAP_CERTIFICATE"
            .to_owned();
        Self::new("no-certificate", message)
    }

    pub(crate) fn bad_certificate(file: &Path, error: &dyn Display) -> Self {
        let file = file.display();
        Self::new(
            "bad-certificate",
            format!("can't use the certificate {file}: {error}: expected a PEM file"),
        )
    }

    pub(crate) fn no_token() -> Self {
        let message = "found no token to show: give `--token-file FILE`, or set LIVESWAP_TOKEN".to_owned();
        Self::new("no-token", message)
    }

    pub(crate) fn bad_token() -> Self {
        let message =
            "the token has letters that no token has: expected the one that `liveswap token` has shown";
        Self::new("bad-token", message.to_owned())
    }

    pub(crate) fn no_randomness(error: &dyn Display) -> Self {
        Self::new("system", format!("the system has no random bytes for a token: {error}"))
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

    pub(crate) fn no_set(files: usize) -> Self {
        let message =
            format!("found {files} files and no set: name the set that they are of with `--set NAME`");
        Self::new("no-set", message)
    }

    /// The candidate was published, and then a part of the state turned out not to be migratable.
    pub(crate) fn stuck(reason: &str, what_then: &str) -> Self {
        let message = format!(
            "a part of the state can't be migrated: {reason}: {what_then}: mend the migration, or the value, and push \
             again"
        );
        Self::new("migration-stuck", message)
    }

    /// The candidate was published, and then its predecessor took over again.
    pub(crate) fn rolled_back(version: &str, code: &str, reason: &str) -> Self {
        let message = format!("{version} was rolled back: {reason}: mend it, and push again");
        Self { status: ROLLED_BACK, ..Self::new(code, message) }
    }

    /// The candidate was published, and what has become of it isn't known.
    pub(crate) fn no_verdict(module: &str, version: &str) -> Self {
        let message = format!(
            "found no verdict on {version}: module `{module}` has no policy that would give one, or another version \
             was pushed: ask for the `status`"
        );
        Self::new("no-verdict", message)
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
