//! Accepting a candidate: its bytes are copied once, and from then on only the copy is looked at.
//!
//! The user's file may be written to, cut short or replaced at any time; while it is mapped, that would
//! kill the process. So its bytes are read, up to a bound, into memory; hashed there, which says what the candidate
//! [is](super::digest); and written to a [private copy](super::private), which is what is loaded.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use thiserror::Error;

use super::digest::Digest;
use super::private::{PrivateCopy, PrivateFolder};

/// The most bytes that a candidate may have, unless the host says otherwise.
pub(crate) const CANDIDATE_SIZE_MAX: u64 = 256 * 1024 * 1024;

/// Why a candidate's bytes could not be taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The candidate can't be read.
    #[error("can't read {path}: {source}: check the path and its permissions", path = path.display())]
    Unreadable {
        /// The candidate.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The watched folder that it lies in may be written by anybody, so anybody could have put it there.
    #[error("{folder} may be written by every user (found mode {mode:04o}, expected none for others): `chmod o-w` it", folder = folder.display())]
    OpenFolder {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The folder has more files than are looked through.
    #[error(
        "{folder} has more than {limit} files, which is the most that are looked through: take away those that are of \
         no use any more", folder = folder.display()
    )]
    TooManyFiles {
        /// The folder.
        folder: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// The folder lies deeper in the watched one than is looked.
    #[error("{folder} lies more than {limit} folders deep in the watched one, which is as far as is looked: move it up", folder = folder.display())]
    TooDeep {
        /// The folder.
        folder: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// A link leads to it, out of the watched folder.
    #[error("{path} leads out of the watched folder {folder}: put the file itself there", path = path.display(), folder = folder.display())]
    LeadsOut {
        /// The candidate.
        path: PathBuf,
        /// The watched folder.
        folder: PathBuf,
    },
    /// It isn't a regular file: reading a pipe or a device might never end.
    #[error("{path} isn't a regular file: push a shared library", path = path.display())]
    NotAFile {
        /// The candidate.
        path: PathBuf,
    },
    /// The candidate is larger than the engine was told to take.
    #[error(
        "{name} is larger than the {limit} bytes that are allowed: raise `candidate_size_max` if it is meant to be"
    )]
    TooLarge {
        /// The candidate.
        name: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The private copy can't be written.
    #[error("can't write the private copy {path}: {source}: check the disk's space and the folder's permissions", path = path.display())]
    Unwritable {
        /// The copy.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Where a candidate's bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'candidate> {
    /// In a file of the user's.
    File(&'candidate Path),
    /// Here: they came over a connection.
    Memory { name: &'candidate str, content: &'candidate [u8] },
    /// In a copy that was made earlier. It has a digest already: that of what was pushed.
    Kept(&'candidate PrivateCopy),
    /// The same, in one that a process before this one has made.
    Left { name: &'candidate str, content: &'candidate [u8], digest: Digest },
}

/// A candidate's very bytes, in memory. From here on its source isn't looked at any more.
#[derive(Debug)]
pub(crate) struct Taken<'candidate> {
    pub(crate) content: Cow<'candidate, [u8]>,
    pub(crate) digest: Digest,
}

/// A candidate that was taken in: its private copy, and the very bytes that were written to it.
#[derive(Debug)]
pub(crate) struct Accepted<'candidate> {
    pub(crate) copy: PrivateCopy,
    pub(crate) content: Cow<'candidate, [u8]>,
}

/// Takes a candidate in. `limit` is the most bytes it may have.
pub(crate) fn accept<'candidate>(
    folder: &Arc<PrivateFolder>,
    source: Source<'candidate>,
    limit: u64,
) -> Result<Accepted<'candidate>, AcceptError> {
    take(source, limit)?.copy(folder)
}

/// Takes a candidate's bytes. `limit` is the most that it may have.
pub(crate) fn take(source: Source<'_>, limit: u64) -> Result<Taken<'_>, AcceptError> {
    let (name, content) = match source {
        Source::File(path) => (path.display().to_string(), Cow::Owned(read(path, limit)?)),
        Source::Kept(copy) => {
            let unreadable = |source| AcceptError::Unreadable { path: copy.path.clone(), source };
            copy.ensure().map_err(unreadable)?;
            (copy.path.display().to_string(), Cow::Owned(read(&copy.path, limit)?))
        }
        Source::Memory { name, content } | Source::Left { name, content, .. } => {
            (name.to_owned(), Cow::Borrowed(content))
        }
    };
    if content.len() as u64 > limit {
        return Err(AcceptError::TooLarge { name, limit });
    }
    let digest = match source {
        Source::Kept(earlier) => earlier.digest,
        Source::Left { digest, .. } => digest,
        Source::File(_) | Source::Memory { .. } => Digest::of(&content),
    };
    Ok(Taken { content, digest })
}

impl<'candidate> Taken<'candidate> {
    /// Makes a private copy of the candidate.
    pub(crate) fn copy(self, folder: &Arc<PrivateFolder>) -> Result<Accepted<'candidate>, AcceptError> {
        let Self { mut content, digest } = self;
        let copy = PrivateCopy::make(folder, &mut content, digest)?;
        Ok(Accepted { copy, content })
    }
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, AcceptError> {
    let unreadable = |source| AcceptError::Unreadable { path: path.to_owned(), source };
    let file = open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(AcceptError::NotAFile { path: path.to_owned() });
    }
    // With room for one byte more than the file has: so a read that is complete is seen to be, and by the kernel's own
    // account, not by the length that it had before.
    let room = metadata.len().min(limit).saturating_add(1);
    let mut content = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
    while content.len() as u64 <= limit {
        if content.len() == content.capacity() {
            content.reserve(1);
        }
        let read = retry_on_intr(|| rustix::io::read(&file, spare_capacity(&mut content)));
        if read.map_err(|error| unreadable(error.into()))? == 0 {
            break;
        }
    }
    if content.len() as u64 > limit {
        return Err(AcceptError::TooLarge { name: path.display().to_string(), limit });
    }
    Ok(content)
}

/// Opens a file for reading, without waiting for anybody.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe would wait for its other end; a regular file doesn't care about the flag.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(true).custom_flags(nonblocking).open(path)
}

/// Whether anybody has the file open for writing. For files that nobody said are complete.
///
/// The kernel grants a read lease only if nobody has; it's given back at once. Where leases aren't to be had
/// (another user's file, a network file system), nothing is known, and verifying must do.
pub(crate) fn is_being_written(path: &Path) -> bool {
    /// From Linux's `fcntl.h`; the same on every machine that liveswap knows.
    const F_SETSIG: libc::c_int = 10;

    let Ok(file) = open(path) else { return false };
    let fd = file.as_raw_fd();
    // SAFETY: plain calls on a descriptor that is open, without pointers. Somebody who opens the file for writing
    // while the lease is held makes the kernel send this process a signal; the default, SIGIO, would end it, so
    // SIGURG is asked for, which is ignored unless the host handles it.
    unsafe {
        if libc::fcntl(fd, F_SETSIG, libc::SIGURG) != 0 {
            return false;
        }
        if libc::fcntl(fd, libc::F_SETLEASE, libc::F_RDLCK) == 0 {
            libc::fcntl(fd, libc::F_SETLEASE, libc::F_UNLCK);
            return false;
        }
    }
    io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::nodelete;
    use super::super::private::tests::copies;
    use super::*;

    /// A copy with the flag cleared is taken for what it was made from, and not for other bytes.
    #[test]
    fn a_copy_that_was_kept_is_what_it_was_copied_from() {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(PrivateFolder::open(place.path()).unwrap());
        let library = fs::read(std::env::current_exe().unwrap()).unwrap();
        let flagged = nodelete::tests::undeletable(&library);
        let memory = Source::Memory { name: "flagged", content: &flagged };
        let kept = accept(&folder, memory, CANDIDATE_SIZE_MAX).unwrap().copy;
        assert!(fs::read(&kept.path).unwrap() == library);
        assert_eq!(kept.digest, Digest::of(&flagged));
        let again = accept(&folder, Source::Kept(&kept), CANDIDATE_SIZE_MAX).unwrap().copy;
        assert_ne!(again.path, kept.path);
        assert_eq!(again.digest, kept.digest);
    }

    #[test]
    fn what_is_too_large_or_no_file_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(PrivateFolder::open(place.path()).unwrap());
        let big = place.path().join("big");
        fs::write(&big, "12345").unwrap();
        let refused = |source| accept(&folder, source, 4).unwrap_err();
        let memory = Source::Memory { name: "big", content: b"12345" };
        assert!(matches!(refused(memory), AcceptError::TooLarge { limit: 4, .. }));
        assert!(matches!(refused(Source::File(&big)), AcceptError::TooLarge { limit: 4, .. }));
        fs::remove_file(&big).unwrap();
        assert!(matches!(refused(Source::File(&big)), AcceptError::Unreadable { .. }));
        assert!(matches!(refused(Source::File(place.path())), AcceptError::NotAFile { .. }));
        assert_eq!(copies(place.path()), 0);
    }

    #[test]
    fn a_file_is_seen_to_be_written() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("candidate");
        let writer = File::create(&path).unwrap();
        assert!(is_being_written(&path));
        drop(writer);
        assert!(!is_being_written(&path));
        assert!(!is_being_written(&place.path().join("missing")));
    }
}
