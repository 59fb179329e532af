//! Reading a snapshot: all of it once, to see whether it's intact, and only then what is in it.
//!
//! A state that was built from the first half of a snapshot whose second half is damaged would have to be thrown away
//! again, by code that can hardly be tested. So nothing is given out before the whole file was compared with its
//! checksums. No length in it is believed: each is compared with what the file has left before memory is taken for it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::SnapshotError;
use super::format::{BLOCK_HEADER_LENGTH, BUFFER_LENGTH, Checksum, HEADER_LENGTH, Header, ROOT, part};
use crate::candidate::accept;

/// A snapshot that was compared with its checksums from end to end.
#[derive(Debug)]
pub(crate) struct Intact {
    file: File,
    path: PathBuf,
    header: Header,
}

impl Intact {
    /// Opens the snapshot at `path` and reads it once, in pieces, to see whether it's intact.
    pub(crate) fn open(path: &Path) -> Result<Self, SnapshotError> {
        let unreadable = |source| SnapshotError::Unreadable { path: path.to_owned(), source };
        let mut file = accept::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            let what = "it isn't a regular file";
            return Err(SnapshotError::NotASnapshot { path: path.to_owned(), what });
        }
        let mut start = Vec::with_capacity(HEADER_LENGTH);
        (&mut file).take(HEADER_LENGTH as u64).read_to_end(&mut start).map_err(unreadable)?;
        let header = Header::decode(&start, path)?;
        let found = metadata.len();
        match (HEADER_LENGTH as u64).checked_add(header.length) {
            Some(expected) if expected == found => {}
            Some(expected) if expected < found => {
                let what = format!("found {found} bytes, expected {expected}");
                return Err(SnapshotError::Damaged { path: path.to_owned(), what });
            }
            expected => {
                let expected = expected.unwrap_or(u64::MAX);
                return Err(SnapshotError::Truncated { path: path.to_owned(), found, expected });
            }
        }
        let mut snapshot = Self { file, path: path.to_owned(), header };
        snapshot.blocks()?.pass_over_all()?;
        Ok(snapshot)
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The blocks, from the first on.
    pub(crate) fn blocks(&mut self) -> Result<Blocks<'_>, SnapshotError> {
        let unreadable = |source| SnapshotError::Unreadable { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(HEADER_LENGTH as u64)).map_err(unreadable)?;
        Ok(Blocks {
            reader: BufReader::with_capacity(BUFFER_LENGTH, &self.file),
            path: &self.path,
            header: &self.header,
            read: Checksum::default(),
            buffer: Vec::new(),
        })
    }
}

/// A block of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'buffer> {
    pub(crate) ordinal: u32,
    pub(crate) bytes: &'buffer [u8],
}

/// Reads a snapshot's blocks, one at a time.
///
/// What it reads is compared with the checksum again: between the two readings, the file may have been written to, or
/// the disk may have given out. Only when [`next`](Self::next) has said that there is no further block, all of them
/// were what was written.
#[derive(Debug)]
pub(crate) struct Blocks<'snapshot> {
    reader: BufReader<&'snapshot File>,
    path: &'snapshot Path,
    header: &'snapshot Header,
    read: Checksum,
    buffer: Vec<u8>,
}

impl Blocks<'_> {
    /// The next block, in a buffer that the one after it takes over.
    pub(crate) fn next(&mut self) -> Result<Option<Block<'_>>, SnapshotError> {
        let Some((ordinal, length)) = self.next_start()? else { return Ok(None) };
        // It's no more than the payload has left, and that is in the file: no made-up length gets here.
        let length =
            usize::try_from(length).map_err(|_| self.damaged(format!("a block has {length} bytes")))?;
        self.buffer.resize(length, 0);
        self.reader.read_exact(&mut self.buffer).map_err(|error| unreadable(self.path, error))?;
        self.read.add(&self.buffer);
        Ok(Some(Block { ordinal, bytes: &self.buffer }))
    }

    /// Reads all blocks without keeping any.
    fn pass_over_all(mut self) -> Result<(), SnapshotError> {
        while let Some((_, mut left)) = self.next_start()? {
            while left > 0 {
                let bytes = self.reader.fill_buf().map_err(|error| unreadable(self.path, error))?;
                if bytes.is_empty() {
                    return Err(unreadable(self.path, io::ErrorKind::UnexpectedEof.into()));
                }
                let length = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                self.read.add(&bytes[..length]);
                self.reader.consume(length);
                left -= length as u64;
            }
        }
        Ok(())
    }

    /// The ordinal and the length of the next block. At the end of the payload, compares the checksums.
    fn next_start(&mut self) -> Result<Option<(u32, u64)>, SnapshotError> {
        let is_first = self.read.length == 0;
        let left = self.header.length - self.read.length;
        if left == 0 {
            let (found, stated) = (self.read.hash.digest128(), self.header.checksum);
            if found != stated {
                return Err(self.damaged(format!("found checksum {found:032x}, expected {stated:032x}")));
            }
            if is_first {
                return Err(self.damaged("it has no block, expected the state's root".to_owned()));
            }
            return Ok(None);
        }
        if left < BLOCK_HEADER_LENGTH as u64 {
            return Err(self.damaged(format!("its last {left} bytes can't be a block")));
        }
        let mut start = [0; BLOCK_HEADER_LENGTH];
        self.reader.read_exact(&mut start).map_err(|error| unreadable(self.path, error))?;
        self.read.add(&start);
        let (ordinal, length) = (u32::from_le_bytes(part(&start, 0)), u64::from_le_bytes(part(&start, 4)));
        if is_first && ordinal != ROOT {
            return Err(self.damaged(format!("its first block has ordinal {ordinal}, expected {ROOT}")));
        }
        let left = self.header.length - self.read.length;
        if length > left {
            return Err(self.damaged(format!("a block states {length} bytes, {left} follow")));
        }
        Ok(Some((ordinal, length)))
    }

    fn damaged(&self, what: String) -> SnapshotError {
        SnapshotError::Damaged { path: self.path.to_owned(), what }
    }
}

fn unreadable(path: &Path, error: io::Error) -> SnapshotError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            SnapshotError::Damaged { path, what: "it became shorter while it was read".to_owned() }
        }
        _ => SnapshotError::Unreadable { path, source: error },
    }
}
