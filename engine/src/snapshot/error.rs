//! Why a snapshot can't be used, and why one could not be taken.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::format::FORMAT;

/// Why a file can't be used as a snapshot.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It is something else.
    #[error("{path} isn't a snapshot: {what}: move it elsewhere, or give it another name", path = path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: &'static str,
    },
    /// It was written by a later release than this host knows.
    #[error(
        "{path} is a snapshot of format {found}, expected {FORMAT}: update the host, or start from an older snapshot",
        path = path.display()
    )]
    Future {
        /// The file.
        path: PathBuf,
        /// The format found.
        found: u32,
    },
    /// Its end is missing.
    #[error(
        "{path} is cut short: found {found} bytes, expected {expected}: start from an older snapshot, or bring it \
         back from a backup",
        path = path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length, in bytes.
        found: u64,
        /// The length that it must have at least.
        expected: u64,
    },
    /// Its bytes aren't what was written.
    #[error(
        "{path} is damaged: {what}: start from an older snapshot, or bring it back from a backup",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
    /// The file or its folder can't be read.
    #[error("can't read {path}: {source}: check the disk and the path's permissions", path = path.display())]
    Unreadable {
        /// The file, or the folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SnapshotError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotASnapshot { .. } => "not-a-snapshot",
            Self::Future { .. } => "future-snapshot",
            Self::Truncated { .. } => "truncated-snapshot",
            Self::Damaged { .. } => "damaged-snapshot",
            Self::Unreadable { .. } => "unreadable-snapshot",
        }
    }

    /// The file that was refused.
    pub fn path(&self) -> &Path {
        match self {
            Self::NotASnapshot { path, .. }
            | Self::Future { path, .. }
            | Self::Truncated { path, .. }
            | Self::Damaged { path, .. }
            | Self::Unreadable { path, .. } => path,
        }
    }
}

/// Why a snapshot could not be taken. Those that were there before are as they were.
#[derive(Debug, Error)]
pub(crate) enum DraftError {
    /// The system refused something that a snapshot needs.
    #[error(
        "can't {doing} {path}: {source}: check the disk, its space and the folder's permissions",
        path = path.display()
    )]
    Unwritable {
        /// What was tried.
        doing: &'static str,
        /// The file, or the folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A snapshot without a root could be written, but never be read.
    #[error("found {found} at the snapshot's start, expected the state's root: write the root's block first")]
    NoRoot {
        /// What was found.
        found: String,
    },
    /// A block is missing.
    #[error("an earlier block of {path} could not be written: take the snapshot again", path = path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
    },
    /// The numbers have come to their end.
    #[error("no number is left after that of {last}: move it out of the folder", last = last.display())]
    NoNumberLeft {
        /// The file with the last number.
        last: PathBuf,
    },
}

impl DraftError {
    /// A short word for programs. It doesn't change between releases.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "unwritable-snapshot",
            Self::NoRoot { .. } => "no-root",
            Self::Incomplete { .. } => "incomplete-snapshot",
            Self::NoNumberLeft { .. } => "no-number-left",
        }
    }
}
