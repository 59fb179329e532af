//! Accepting a candidate: its bytes are copied once, and from then on only the copy is looked at.
//!
//! The user's file may be written to, cut short or replaced at any time; while it is mapped, that would
//! kill the process. The copy has a name that was never used before (the loader gives out an old mapping
//! for a known file), can't be written to (0400), and lies in a folder of the engine's own (0700). It is
//! hashed on the way: that hash is what the candidate *is*, whatever its name or date say. The copy may differ
//! from what was hashed in one flag, which [`nodelete`] clears.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::buffer::spare_capacity;
use rustix::io::retry_on_intr;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_128;

use super::nodelete;
use super::obstacles::Obstacles;
use crate::lock::lock;
use crate::tell::tell;

/// The most bytes that a candidate may have, unless the host says otherwise.
pub(crate) const CANDIDATE_SIZE_MAX: u64 = 256 * 1024 * 1024;

/// How the names of the folders for rehearsals begin.
const REHEARSAL: &str = ".liveswap-rehearsal-";

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

/// The engine's own folder, with a private copy for each version that may still be needed.
///
/// One engine uses it at a time: it holds a lock on the file `lock` inside. What an engine before it left
/// behind is removed. If somebody cleans up in the file system and takes it for old, it's made anew.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    lock: Mutex<File>,
    /// Removes the folder where the engine made it itself.
    _temporary: Option<tempfile::TempDir>,
}

impl PrivateFolder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::take(path.to_owned(), None)
    }

    pub(crate) fn temporary() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("liveswap-").tempdir()?;
        Self::take(folder.path().to_owned(), Some(folder))
    }

    fn take(path: PathBuf, temporary: Option<tempfile::TempDir>) -> io::Result<Self> {
        let lock = Mutex::new(make(&path)?);
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(is_copy) {
                fs::remove_file(entry.path())?;
            } else if name.to_str().is_some_and(|name| name.starts_with(REHEARSAL)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { path: path.canonicalize()?, lock, _temporary: temporary })
    }

    /// A file for a copy, which nobody can write to once this one is closed.
    fn create_at(&self, path: &Path) -> io::Result<File> {
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o400).open(path);
        create().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                *lock(&self.lock) = make(&self.path)?;
                let folder = self.path.display();
                tell(|| tracing::warn!(%folder, "the private folder had vanished, and was made anew"));
                create()
            }
            _ => Err(error),
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder within it, for a rehearsal, which is gone with what is returned.
    pub(crate) fn for_rehearsal(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(REHEARSAL).tempdir_in(&self.path)
    }

    /// A path that no copy of this process ever had: `PROCESS-NUMBER.so`.
    fn fresh(&self) -> PathBuf {
        static COPIES: AtomicUsize = AtomicUsize::new(1);
        // Relaxed: all that counts is that no number is given out twice.
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{}-{number}.so", std::process::id()))
    }
}

/// Makes a private folder, if it isn't there, and locks it.
fn make(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    let lock = File::create(path.join("lock"))?;
    lock.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => {
            io::Error::new(io::ErrorKind::WouldBlock, "another engine uses this folder: give each its own")
        }
        fs::TryLockError::Error(error) => error,
    })?;
    Ok(lock)
}

/// Whether a file of this name is a private copy: only those are the engine's to remove.
fn is_copy(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = name.strip_suffix(".so").and_then(|stem| stem.split_once('-'));
    numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// A private copy. The file is removed with the last reference to it.
#[derive(Debug)]
pub(crate) struct PrivateCopy {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) obstacles: Obstacles,
    /// What it holds, though somebody may clean the file away.
    content: File,
    /// Keeps the folder until its last copy is gone.
    folder: Arc<PrivateFolder>,
}

impl PrivateCopy {
    /// Sees to it that the file is there, for whoever wants to copy it.
    pub(crate) fn ensure(&self) -> io::Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        let mut file = self.folder.create_at(&self.path)?;
        let mut content = &self.content;
        content.rewind()?;
        let copied = io::copy(&mut content, &mut file).map(drop);
        // A part of it is none.
        copied.inspect_err(|_| drop(fs::remove_file(&self.path)))
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tell(|| tracing::warn!(path = %self.path.display(), %error, "can't remove a private copy"));
        }
    }
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
        let path = folder.fresh();
        let unwritable = |source| AcceptError::Unwritable { path: path.clone(), source };
        let mut file = folder.create_at(&path).map_err(unwritable)?;
        // From here on the file is removed whichever way this ends.
        nodelete::clear(&mut content);
        let obstacles = Obstacles::of(&content);
        let copy = File::open(&path).map(|content| PrivateCopy {
            path: path.clone(),
            digest,
            obstacles,
            content,
            folder: folder.clone(),
        });
        let copy = copy.map_err(|source| {
            // Nobody else does it, without a copy that would when it's dropped.
            let _ = fs::remove_file(&path);
            unwritable(source)
        })?;
        file.write_all(&content).map_err(unwritable)?;
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
    use super::*;

    fn copies(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != "lock").count()
    }

    #[test]
    fn the_copy_is_private_and_goes_with_its_owner() {
        let place = tempfile::tempdir().unwrap();
        let folder = Arc::new(PrivateFolder::open(place.path()).unwrap());
        let memory = Source::Memory { name: "same", content: b"same" };
        let one = accept(&folder, memory, 10).unwrap().copy;
        let two = accept(&folder, memory, 10).unwrap().copy;
        assert_eq!(fs::read(&one.path).unwrap(), b"same");
        assert_eq!(one.digest, two.digest);
        assert_ne!(one.path, two.path);
        assert_eq!(fs::metadata(&one.path).unwrap().permissions().mode() & 0o777, 0o400);
        drop((one, two));
        assert_eq!(copies(place.path()), 0);
    }

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
        assert_eq!(kept.digest, Digest(xxh3_128(&flagged)));
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
    fn a_folder_that_has_vanished_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("private");
        let folder = Arc::new(PrivateFolder::open(&path).unwrap());
        fs::remove_dir_all(&path).unwrap();
        let memory = Source::Memory { name: "any", content: b"any" };
        let copy = accept(&folder, memory, CANDIDATE_SIZE_MAX).unwrap().copy;
        assert_eq!(fs::read(&copy.path).unwrap(), b"any");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(PrivateFolder::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);

        // A copy is there again for whoever needs it.
        fs::remove_dir_all(&path).unwrap();
        let again = accept(&folder, Source::Kept(&copy), CANDIDATE_SIZE_MAX).unwrap().copy;
        assert_eq!(fs::read(&again.path).unwrap(), b"any");
        assert_eq!((fs::read(&copy.path).unwrap(), copies(&path)), (b"any".to_vec(), 2));
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

    #[test]
    fn one_engine_at_a_time_and_left_overs_go() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("1-1.so"), "left over").unwrap();
        fs::write(place.path().join("logic.v1.so"), "somebody's").unwrap();
        let folder = PrivateFolder::open(place.path()).unwrap();
        assert_eq!(copies(place.path()), 1, "what isn't a copy is left alone");
        assert_eq!(PrivateFolder::open(place.path()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(folder);
        PrivateFolder::open(place.path()).unwrap();
    }
}
