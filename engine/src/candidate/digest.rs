//! What a candidate *is*: the hash of its content, whatever its name or date say.
//!
//! Names are used again, versions are built twice, files are touched. Whoever wants to know whether two candidates are
//! the same compares their digests.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128;

/// The content of a candidate, as an XXH3-128 hash.
///
/// It tells contents apart: what is active already, what was refused before, two builds with one version number. It's no
/// protection against somebody who makes two contents with the same hash; whoever may push has no need to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

/// A text that isn't a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("expected 32 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let is_digest =
            text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digest = is_digest.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        digest.map(Self).ok_or(NotADigest)
    }
}

impl Digest {
    /// What these bytes are.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self(xxh3_128(content))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}
