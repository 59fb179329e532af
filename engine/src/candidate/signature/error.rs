//! Why a push isn't taken for signed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::KeyId;
use crate::candidate::AcceptError;
use crate::candidate::folder::Exposure;

/// Why a push needs a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Demand {
    /// The host wants one for every push.
    Always,
    /// Others than the owner may have put it there.
    Exposed(Exposure),
    /// It has come over the network.
    Network,
}

impl fmt::Display for Demand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => formatter.write_str("the host demands one for every push"),
            Self::Exposed(exposure) => exposure.fmt(formatter),
            Self::Network => formatter.write_str("it has come over the network"),
        }
    }
}

/// Why a push isn't taken for signed. Nothing of the candidate was read beyond its bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// It needs a signature and has none.
    #[error(
        "found no signature, expected one by a trusted key, because {demand}: sign it (`minisign -Sm FILE`), and put \
         FILE.minisig beside it or send it along"
    )]
    Missing {
        /// Why it needs one.
        demand: Demand,
    },
    /// It needs a signature, and the host trusts nobody's.
    #[error(
        "a signature is needed, because {demand}, and the host trusts no keys: give it a folder with \
         `Builder::trusted_keys`"
    )]
    NoKeys {
        /// Why it needs one.
        demand: Demand,
    },
    /// It is signed by a key that isn't trusted.
    #[error(
        "found a signature by key {found}, expected one by a trusted key, {trusted}: sign it with one of those, or trust this one"
    )]
    UnknownKey {
        /// The key's number, as the signature states it.
        found: KeyId,
        /// The numbers of the keys that are trusted.
        trusted: Trusted,
    },
    /// The signature doesn't fit the bytes.
    #[error(
        "the signature by key {key} isn't one of these bytes: either the file or the signature was changed, or they \
         don't belong together: sign the file again"
    )]
    Bad {
        /// The key's number, as the signature states it.
        key: KeyId,
    },
    /// It is one over the file itself, not over its hash.
    #[error(
        "found a signature in minisign's older format by key {key}, expected one over the file's hash: sign it without `-l`"
    )]
    Legacy {
        /// The key's number, as the signature states it.
        key: KeyId,
    },
    /// It isn't a signature.
    #[error(
        "found something else than a signature in minisign's format: {what}: sign the file again, and copy it whole"
    )]
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// It is longer than any signature.
    #[error("the signature is larger than the {limit} bytes that are allowed: give it a shorter comment")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is a signature, and it can't be read.
    #[error("can't read the signature {path}: {source}: check its permissions", path = path.display())]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may change which keys are trusted, so none is.
    #[error("the trusted keys could be anybody's, because {0}")]
    ExposedKeys(Exposure),
    /// The trusted keys' folder can't be looked through.
    #[error("can't look for trusted keys: {0}")]
    UnreadableKeys(#[source] AcceptError),
    /// There are more keys than anybody trusts.
    #[error("found more than {limit} keys in {folder}, which is the most that are allowed: take away those that are of no \
         use any more", folder = folder.display())]
    TooManyKeys {
        /// The folder.
        folder: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A key's file can't be read.
    #[error("can't read the key {path}: {source}: mend it or take it away", path = path.display())]
    UnreadableKey {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key's file is longer than any key's.
    #[error("the key {path} is larger than the {limit} bytes that are allowed: expected a public key as `minisign -G` \
         writes it", path = path.display())]
    KeyTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A key's file holds no key.
    #[error("found no public key in {path}, expected one as `minisign -G` writes it: mend it or take it away",
        path = path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
    },
}

impl SignatureError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "unsigned",
            Self::NoKeys { .. } => "no-trusted-keys",
            Self::UnknownKey { .. } => "unknown-key",
            Self::Bad { .. } => "bad-signature",
            Self::Legacy { .. } => "legacy-signature",
            Self::Malformed { .. } => "malformed-signature",
            Self::TooLarge { .. } => "signature-too-large",
            Self::Unreadable { .. } => "unreadable-signature",
            Self::ExposedKeys(_) => "exposed-keys",
            Self::UnreadableKeys(_) => "unreadable-keys",
            Self::TooManyKeys { .. } => "too-many-keys",
            Self::UnreadableKey { .. } => "unreadable-key",
            Self::KeyTooLarge { .. } => "key-too-large",
            Self::BadKey { .. } => "bad-key",
        }
    }
}

/// The numbers of the keys that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted(pub Vec<KeyId>);

impl fmt::Display for Trusted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("of which there is none");
        }
        formatter.write_str("which are ")?;
        for (index, key) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(formatter, "{between}{key}")?;
        }
        Ok(())
    }
}
