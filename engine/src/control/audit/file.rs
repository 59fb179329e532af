//! The audit log's file: opened to be appended to, never shortened, never written over.
//!
//! Each line goes to the file in one write, behind whatever is there. If the file was moved away, to be kept elsewhere,
//! the next line begins a new one. A line that was written in part, because the disk was full or the process was
//! killed, is ended before the next one begins, so that it spoils no other.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use thiserror::Error;

/// Why the audit log can't be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The system refuses it.
    #[error("can't write the audit log {path}: {source}: check the disk's space and the folder's permissions", path = path.display())]
    Unwritable {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something else has its name.
    #[error("the audit log {path} isn't a regular file: give it another path", path = path.display())]
    NotAFile {
        /// The log.
        path: PathBuf,
    },
    /// Others could change what it says.
    #[error("the audit log {path} may be written by others (found mode {mode:04o}, expected 0600 or 0640): `chmod go-w` it", path = path.display())]
    OpenFile {
        /// The log.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It's somebody else's.
    #[error("the audit log {path} belongs to user {found}, expected user {expected} or 0: `chown` the file", path = path.display())]
    OtherOwner {
        /// The log.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The user that the process runs as.
        expected: u32,
    },
}

impl AuditError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "unwritable-audit",
            Self::NotAFile { .. } => "audit-not-a-file",
            Self::OpenFile { .. } => "open-audit",
            Self::OtherOwner { .. } => "audit-of-another",
        }
    }
}

pub(super) struct AuditFile {
    path: PathBuf,
    open: Open,
}

struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// The last line isn't whole.
    is_torn: bool,
}

impl AuditFile {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self { path: path.to_owned(), open: open(path)? })
    }

    /// Writes a line, which has no line break.
    pub(super) fn append(&mut self, line: &str) -> Result<(), AuditError> {
        let is_there =
            fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.open.identity);
        if !is_there {
            self.open = open(&self.path)?;
        }
        let unwritable = |source| AuditError::Unwritable { path: self.path.clone(), source };
        let begin = if self.open.is_torn { "\n" } else { "" };
        let bytes = format!("{begin}{line}\n");
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            match self.open.file.write(rest) {
                Ok(0) => return Err(unwritable(io::ErrorKind::WriteZero.into())),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unwritable(error)),
            }
            self.open.is_torn = !rest.is_empty();
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Open, AuditError> {
    let unwritable = |source| AuditError::Unwritable { path: path.to_owned(), source };
    // Opening a pipe would wait for its other end. Whoever may make a link in the folder must not choose the file.
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32;
    let mut options = OpenOptions::new();
    let options = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags);
    let mut file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP | libc::EISDIR | libc::ENXIO) => AuditError::NotAFile { path: path.to_owned() },
        _ => unwritable(error),
    })?;
    let metadata = file.metadata().map_err(unwritable)?;
    if !metadata.is_file() {
        return Err(AuditError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(AuditError::OpenFile { path: path.to_owned(), mode });
    }
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if found != expected && found != 0 {
        return Err(AuditError::OtherOwner { path: path.to_owned(), found, expected });
    }
    let is_torn = is_torn(&mut file).map_err(unwritable)?;
    Ok(Open { file, identity: identity(&metadata), is_torn })
}

fn is_torn(file: &mut File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
