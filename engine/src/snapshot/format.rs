//! A snapshot's bytes.
//!
//! A file may come back cut short, lengthened, or with other bytes than were written, and a reader must never use
//! such a one, nor believe any length in it. So all of it is under a checksum, and the whole file is compared with
//! its checksums before a single block is given out.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | the format, [`FORMAT`] |
//! | 4 | the version of the state's schema |
//! | 16 | the state's fingerprint |
//! | 8 | length of the payload |
//! | 16 | XXH3-128 of the payload |
//! | 8 | when the snapshot was taken: Unix time in milliseconds |
//! | 8 | XXH3-64 of all of the above |
//! | … | the payload: blocks |
//!
//! A block is its ordinal (4 bytes), its length (8 bytes) and that many bytes. The first is of ordinal [`ROOT`];
//! others are parts of large collections, and any number of blocks may have the same ordinal. Numbers are
//! little-endian.
//!
//! The header is written last, over zeros: a file whose writing was broken off has no magic.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::disk::Disk;
use super::error::{DraftError, SnapshotError};

/// The first bytes of a snapshot.
pub(crate) const MAGIC: [u8; 8] = *b"LIVESNAP";
/// The format described above.
pub(crate) const FORMAT: u32 = 1;
/// The length of all that stands before the payload, in bytes.
pub(crate) const HEADER_LENGTH: usize = 72;
/// The ordinal of the state's root.
pub(crate) const ROOT: u32 = 0;

/// The length of what stands before a block's own bytes.
pub(super) const BLOCK_HEADER_LENGTH: usize = 12;
/// How much is read and written at once: enough for the system's calls not to matter.
pub(super) const BUFFER_LENGTH: usize = 256 * 1024;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The version of the state's schema.
    pub(crate) schema: u32,
    /// The state's fingerprint.
    pub(crate) fingerprint: [u8; 16],
    /// When the snapshot was taken: Unix time in milliseconds.
    pub(crate) taken_at: u64,
}

/// What stands at the start of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) label: Label,
    /// The payload's length, in bytes.
    pub(crate) length: u64,
    /// The payload's XXH3-128.
    pub(crate) checksum: u128,
}

impl Header {
    fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.label.schema.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.label.fingerprint);
        bytes[32..40].copy_from_slice(&self.length.to_le_bytes());
        bytes[40..56].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.label.taken_at.to_le_bytes());
        let checksum = xxh3_64(&bytes[..64]);
        bytes[64..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header in a file's first bytes, of which there are fewer than a header's if the file is shorter.
    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Self, SnapshotError> {
        let path = || path.to_owned();
        let truncated = || {
            let (found, expected) = (bytes.len() as u64, HEADER_LENGTH as u64);
            SnapshotError::Truncated { path: path(), found, expected }
        };
        let damaged = |what| SnapshotError::Damaged { path: path(), what };
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            let what = "it doesn't begin with `LIVESNAP`";
            return Err(SnapshotError::NotASnapshot { path: path(), what });
        }
        // Before the checksum: a later format may have it elsewhere.
        match u32::from_le_bytes(array(bytes.get(8..).unwrap_or_default()).ok_or_else(truncated)?) {
            0 => return Err(damaged("its header states format 0, which never was".to_owned())),
            FORMAT => {}
            found => return Err(SnapshotError::Future { path: path(), found }),
        }
        let bytes: [u8; HEADER_LENGTH] = array(bytes).ok_or_else(truncated)?;
        let stated = u64::from_le_bytes(part(&bytes, 64));
        let found = xxh3_64(&bytes[..64]);
        if found != stated {
            return Err(damaged(format!(
                "found checksum {found:016x} of its header, expected {stated:016x}"
            )));
        }
        Ok(Self {
            label: Label {
                schema: u32::from_le_bytes(part(&bytes, 12)),
                fingerprint: part(&bytes, 16),
                taken_at: u64::from_le_bytes(part(&bytes, 56)),
            },
            length: u64::from_le_bytes(part(&bytes, 32)),
            checksum: u128::from_le_bytes(part(&bytes, 40)),
        })
    }
}

/// The first `N` bytes, if there are as many.
fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}

/// The `N` bytes from `from` on of an array that is known to have them.
pub(super) fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    array(&bytes[from..]).expect("a field lies inside")
}

/// Writes a snapshot, block by block.
#[derive(Debug)]
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    file: File,
    path: PathBuf,
    /// What isn't written yet. Not a `BufWriter`: that one writes once more when it's dropped.
    buffer: Vec<u8>,
    /// Where in the file the buffer belongs.
    offset: u64,
    payload: Checksum,
    /// Set while a block is being taken: if it stays so, a part of one is missing.
    is_incomplete: bool,
}

impl Writer {
    /// Begins a snapshot in an empty file. `path` is what errors name.
    pub(crate) fn new(disk: Arc<dyn Disk>, file: File, path: PathBuf) -> Self {
        let mut buffer = Vec::with_capacity(BUFFER_LENGTH);
        buffer.extend([0; HEADER_LENGTH]);
        Self { disk, file, path, buffer, offset: 0, payload: Checksum::default(), is_incomplete: false }
    }

    /// Adds a block. The first must be the [`ROOT`].
    pub(crate) fn block(&mut self, ordinal: u32, bytes: &[u8]) -> Result<(), DraftError> {
        if self.payload.length == 0 && ordinal != ROOT {
            return Err(DraftError::NoRoot { found: format!("a block of ordinal {ordinal}") });
        }
        self.check_complete()?;
        self.is_incomplete = true;
        self.add(&ordinal.to_le_bytes())?;
        self.add(&(bytes.len() as u64).to_le_bytes())?;
        self.add(bytes)?;
        self.is_incomplete = false;
        Ok(())
    }

    /// Writes what is left, and the header. Nothing is synced.
    pub(crate) fn finish(&mut self, label: Label) -> Result<(), DraftError> {
        self.check_complete()?;
        if self.payload.length == 0 {
            return Err(DraftError::NoRoot { found: "nothing".to_owned() });
        }
        self.flush()?;
        let checksum = self.payload.hash.digest128();
        let header = Header { label, length: self.payload.length, checksum };
        self.write(0, &header.encode())
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The length that the file has once all is written, in bytes.
    pub(crate) fn file_length(&self) -> u64 {
        HEADER_LENGTH as u64 + self.payload.length
    }

    fn check_complete(&self) -> Result<(), DraftError> {
        if self.is_incomplete {
            return Err(DraftError::Incomplete { path: self.path.clone() });
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), DraftError> {
        if self.buffer.len() + bytes.len() > BUFFER_LENGTH {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_LENGTH {
            self.write(self.offset, bytes)?;
            self.offset += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.payload.add(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DraftError> {
        self.write(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DraftError> {
        let unwritable = |source| DraftError::Unwritable { doing: "write", path: self.path.clone(), source };
        self.disk.write(&self.file, offset, bytes).map_err(unwritable)
    }
}

/// The length and the hash of a payload so far.
#[derive(Default)]
pub(super) struct Checksum {
    pub(super) length: u64,
    pub(super) hash: Xxh3,
}

impl Checksum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Checksum({:032x} of {} bytes)", self.hash.digest128(), self.length)
    }
}

#[cfg(test)]
pub(super) mod tests;
