//! Versions, and the names of files that carry them.

use std::fmt;
use std::str::FromStr;

use liveswap_state::manifest::{is_name, is_version};
use serde::{Serialize, Serializer};

use super::limits::VERSION_MAX;

/// A version: numbers with dots between them, ordered number by number. `1.10` is newer than `1.9`, and
/// `1.4` is the same as `1.4.0`.
#[derive(Clone, Debug)]
pub struct VersionNumber {
    text: String,
    numbers: Vec<u64>,
}

/// A text that isn't a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` isn't a version: write numbers with dots between them, such as `1002` or `1.4.0`")]
pub struct NotAVersion(String);

impl FromStr for VersionNumber {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let refuse = || NotAVersion(text.to_owned());
        if text.len() > VERSION_MAX || !is_version(text) {
            return Err(refuse());
        }
        let mut numbers = Vec::new();
        for number in text.split('.') {
            numbers.push(number.parse().map_err(|_| refuse())?);
        }
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Ok(Self { text: text.to_owned(), numbers })
    }
}

impl PartialEq for VersionNumber {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for VersionNumber {}

impl PartialOrd for VersionNumber {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VersionNumber {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.numbers.cmp(&other.numbers)
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for VersionNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// What a file's name says it carries: `logic.v1002.so` or `logic.so.1.4.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateName {
    /// The module.
    pub module: String,
    /// The version.
    pub version: VersionNumber,
}

impl CandidateName {
    /// Reads a file's name; `None` if it isn't made like a candidate's.
    pub fn parse(file_name: &str) -> Option<Self> {
        let (module, version) = match file_name.strip_suffix(".so") {
            Some(stem) => stem.split_once(".v")?,
            None => file_name.split_once(".so.")?,
        };
        is_name(module).then_some(())?;
        Some(Self { module: module.to_owned(), version: version.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> VersionNumber {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        assert!(version("1002") > version("1001"));
        assert!(version("1.10") > version("1.9"));
        assert!(version("1.4.1") > version("1.4"));
        assert_eq!(version("1.4"), version("1.4.0"));
        assert_eq!(version("1.4.0").to_string(), "1.4.0");
        for wrong in ["", "v1", "1.", "1..2", "99999999999999999999"] {
            assert!(wrong.parse::<VersionNumber>().is_err(), "{wrong}");
        }
        let of_length = |length: usize| "0".repeat(length).parse::<VersionNumber>();
        assert!(of_length(VERSION_MAX).is_ok() && of_length(VERSION_MAX + 1).is_err());
    }

    #[test]
    fn both_kinds_of_file_names_are_read() {
        let read = |name| CandidateName::parse(name).map(|name| (name.module, name.version.to_string()));
        assert_eq!(read("logic.v1002.so"), Some(("logic".into(), "1002".into())));
        assert_eq!(read("logic.v1.4.0.so"), Some(("logic".into(), "1.4.0".into())));
        assert_eq!(read("eng.so.1.0.0"), Some(("eng".into(), "1.0.0".into())));
        for wrong in ["logic.so", "liblogic.so", ".v1.so", "logic.v1.so.part", "a/b.v1.so", "logic.vx.so", ""]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
