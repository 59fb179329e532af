//! Reading a manifest: what [`liveswap_state::manifest`] writes into a library, read from its file.

use std::fmt;
use std::path::Path;

use liveswap_state::manifest::{FOREIGN_FORMAT, FORMAT, HEADER_LENGTH, MAGIC, SECTION};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::accept::{self, CANDIDATE_SIZE_MAX};
use super::elf::{self, ElfError};
use super::foreign;
use super::limits::{self, LENGTH_MAX};
use super::state::{FormerState, StateManifest};
use crate::error::InspectError;

/// What a library says of itself. Nothing of it is trusted before `verify` has compared it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// How it is called. Which of the two, the format says in which the manifest is written, not its text.
    #[serde(skip_deserializing)]
    pub abi: Abi,
    /// The version of the contract between host and logic; in a library in C, of `liveswap.h`.
    pub contract: u32,
    /// The module this is a version of.
    pub module: String,
    /// The version.
    pub version: String,
    /// The compiler: release, commit, target.
    pub compiler: String,
    /// What a panic does: `unwind` or `abort`.
    pub panic: String,
    /// The interface's name.
    pub interface: String,
    /// The methods, in the order of the library's code table.
    pub methods: Vec<MethodManifest>,
    /// The methods whose answers may differ from those of the version before; `*` for all.
    // Missing in manifests of contracts before.
    #[serde(default)]
    pub differences: Vec<String>,
    /// The values that it makes known by name.
    // Missing in manifests of contracts before.
    #[serde(default)]
    pub constants: Vec<ConstantManifest>,
    /// The state that the logic works on.
    pub state: StateManifest,
}

/// How a library and its host call each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Abi {
    /// As Rust does, with Rust's types.
    #[default]
    Rust,
    /// By `liveswap.h`, with bytes.
    C,
}

impl fmt::Display for Abi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Rust => "rust",
            Self::C => "c",
        })
    }
}

/// A method, as a manifest states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MethodManifest {
    /// The method's name.
    pub name: String,
    /// `stateless`, `shared` or `exclusive`.
    pub access: String,
    /// The hash of its signature, in hexadecimal.
    pub fingerprint: String,
}

/// A constant, as a manifest states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConstantManifest {
    /// The constant's name.
    pub name: String,
    /// What its type is called.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its value, as text.
    pub value: String,
}

/// Why a file's manifest can't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file isn't a library of this machine.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// There is no manifest in it.
    #[error(
        "found no section `{SECTION}`, which holds a logic library's manifest: export the logic with `liveswap_logic::export!`, or `LIVESWAP_EXPORT` in C"
    )]
    Missing,
    /// The manifest's bytes aren't what was written.
    #[error("the manifest is damaged: {0}: build the library again")]
    Damaged(String),
    /// The manifest says more than any needs to.
    #[error("found a manifest with {found} {what}, expected at most {limit}: make what it describes smaller")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The manifest was written by a later release than this host knows.
    #[error(
        "found a manifest of format {found}, expected {FORMAT}, or {FOREIGN_FORMAT} of a library in C: build the logic with the host's release of liveswap, or update the host"
    )]
    Future {
        /// The format found.
        found: u32,
    },
}

/// Reads the manifest of the library at `path`, without loading it.
///
/// # Errors
///
/// If the file isn't a whole library for this machine with an intact manifest, or is larger than 256 MiB.
pub fn inspect(path: impl AsRef<Path>) -> Result<Manifest, InspectError> {
    let content = accept::read(path.as_ref(), CANDIDATE_SIZE_MAX)?;
    Ok(read(&content)?.0)
}

/// The manifest in a library's bytes, with the bytes that it was read from.
pub(crate) fn read(library: &[u8]) -> Result<(Manifest, Vec<u8>), ManifestError> {
    let section = elf::section(library, SECTION)?.ok_or(ManifestError::Missing)?;
    let (manifest, length) = parse(section)?;
    Ok((manifest, section[..length].to_vec()))
}

/// Whether these are the bytes of a library in C, which [`read`] has read.
pub(crate) fn is_foreign(section: &[u8]) -> bool {
    section.get(8..12) == Some(&FOREIGN_FORMAT.to_le_bytes())
}

/// The manifest at the start of a section, and how many bytes it takes. A linker or a sanitizer may have put
/// padding behind it.
pub(crate) fn parse(section: &[u8]) -> Result<(Manifest, usize), ManifestError> {
    let damaged = |what: &str| ManifestError::Damaged(what.to_owned());
    let (header, text) = section
        .split_at_checked(HEADER_LENGTH)
        .ok_or_else(|| damaged(&format!("found {} bytes, shorter than its header", section.len())))?;
    if header[..8] != MAGIC {
        return Err(damaged("it doesn't begin with `LIVESWAP`"));
    }
    let word = |from: usize| u32::from_le_bytes(header[from..from + 4].try_into().expect("four bytes"));
    let (format, length) = (word(8), word(12) as usize);
    if format != FORMAT && format != FOREIGN_FORMAT {
        return Err(ManifestError::Future { found: format });
    }
    limits::at_most(LENGTH_MAX, "bytes", length)?;
    if length > text.len() {
        return Err(damaged(&format!("its header states {length} bytes, {} follow", text.len())));
    }
    let text = &text[..length];
    let stated = u64::from_le_bytes(header[16..24].try_into().expect("eight bytes"));
    let is_foreign = format == FOREIGN_FORMAT;
    let found = if is_foreign { 0 } else { xxh3_64(text) };
    if found != stated {
        return Err(damaged(&format!("found checksum {found:016x}, expected {stated:016x}")));
    }
    let manifest = if is_foreign {
        foreign::manifest(text)?
    } else {
        serde_json::from_slice(text).map_err(|error| ManifestError::Damaged(error.to_string()))?
    };
    limits::check(&manifest)?;
    Ok((manifest, HEADER_LENGTH + length))
}

impl fmt::Display for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped: a manifest is anybody's text, and a terminal obeys some of it.
        let mut row = |name: &str, value: &dyn fmt::Display| {
            writeln!(formatter, "{name:<10} {}", value.to_string().escape_debug())
        };
        row("module", &self.module)?;
        row("version", &self.version)?;
        row("abi", &self.abi)?;
        row("contract", &self.contract)?;
        row("compiler", &self.compiler)?;
        row("panic", &self.panic)?;
        row("interface", &self.interface)?;
        for method in &self.methods {
            row(
                "  method",
                &format_args!("{:<20} {:<10} {}", method.name, method.access, method.fingerprint),
            )?;
        }
        for method in &self.differences {
            row("  differs", method)?;
        }
        for ConstantManifest { name, type_name, value } in &self.constants {
            row("  constant", &format_args!("{name}: {type_name} = {value}"))?;
        }
        let StateManifest { type_name, schema, fingerprint, from, .. } = &self.state;
        row("state", &format_args!("{type_name}, schema {schema}, {fingerprint}"))?;
        // Each is a step away from the one before: a step without a way back cuts off all that come after.
        let mut is_one_way = false;
        for FormerState { type_name, schema, fingerprint, one_way } in from {
            is_one_way |= one_way;
            let way = if is_one_way { "one-way, there is no rollback to it" } else { "and back" };
            row("  from", &format_args!("{type_name}, schema {schema}, {fingerprint}: {way}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(format: u32, text: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(format.to_le_bytes());
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(xxh3_64(text).to_le_bytes());
        bytes.extend(text);
        bytes
    }

    const TEXT: &[u8] = br#"{"contract":1,"module":"m","version":"1","compiler":"c","panic":"unwind",
        "interface":"I","methods":[],"state":{"type":"S","schema":1,"fingerprint":"f"},"later":true}"#;

    #[test]
    fn fields_of_later_hosts_and_padding_are_passed_over() {
        let mut padded = section(FORMAT, TEXT);
        let whole = padded.len();
        padded.extend([0; 32]);
        let (manifest, length) = parse(&padded).unwrap();
        assert_eq!(length, whole);
        assert_eq!((manifest.module.as_str(), manifest.state.schema), ("m", 1));
    }

    #[test]
    fn what_is_one_way_is_said_for_all_that_comes_before() {
        let text = str::from_utf8(TEXT).unwrap().replace(
            r#""fingerprint":"f"}"#,
            r#""fingerprint":"f","from":[
                {"type":"S","schema":3,"fingerprint":"c","one_way":false},
                {"type":"S","schema":2,"fingerprint":"b","one_way":true},
                {"type":"Old","schema":1,"fingerprint":"a","one_way":false}]}"#,
        );
        let shown = parse(&section(FORMAT, text.as_bytes())).unwrap().0.to_string();
        let rows: Vec<_> = shown.lines().filter(|line| line.starts_with("  from")).collect();
        assert_eq!(
            rows,
            [
                "  from     S, schema 3, c: and back",
                "  from     S, schema 2, b: one-way, there is no rollback to it",
                "  from     Old, schema 1, a: one-way, there is no rollback to it",
            ]
        );
    }

    #[test]
    fn cut_short_anywhere_it_is_damaged() {
        let whole = section(FORMAT, TEXT);
        for length in 0..whole.len() {
            assert!(matches!(parse(&whole[..length]), Err(ManifestError::Damaged(_))), "{length}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let whole = section(FORMAT, TEXT);
        for index in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[index] ^= 1;
            assert!(parse(&flipped).is_err(), "{index}");
        }
    }

    #[test]
    fn a_manifest_that_is_too_long_isnt_read() {
        let of_length = |length: usize| {
            let mut text = TEXT.to_vec();
            text.resize(length, b' ');
            parse(&section(FORMAT, &text))
        };
        assert!(of_length(LENGTH_MAX).is_ok());
        let error = of_length(LENGTH_MAX + 1).unwrap_err();
        assert!(matches!(error, ManifestError::TooMuch { what: "bytes", limit: LENGTH_MAX, .. }), "{error}");
    }

    #[test]
    fn what_a_manifest_lists_is_counted() {
        let methods = [r#"{"name":"m","access":"shared","fingerprint":"f"}"#; 5000].join(",");
        let text = str::from_utf8(TEXT).unwrap().replace("[]", &format!("[{methods}]"));
        let error = parse(&section(FORMAT, text.as_bytes())).unwrap_err();
        assert!(matches!(error, ManifestError::TooMuch { what: "methods", found: 5000, .. }), "{error}");
    }

    #[test]
    fn a_later_format_says_so() {
        assert!(matches!(parse(&section(FOREIGN_FORMAT + 1, b"?")), Err(ManifestError::Future { found: 3 })));
    }
}
