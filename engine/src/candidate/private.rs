//! The engine's private folder: copies of candidates that nobody else can change.
//!
//! The loader gives out an old mapping for a known file, and a file that is written to while it's mapped kills the
//! process. So a copy has a name that was never used before, can't be written to (0400), and lies in a folder of the
//! engine's own (0700). It may differ from what was pushed in one flag, which [`nodelete`] clears. It goes with the
//! last reference to it; until then it's made anew if somebody has cleaned it away.
//!
//! What the next start finds there may be loaded without a signature, because it was checked when it came. So a folder
//! that the host has named is taken only if it's the process's own user's (or root's), and nobody else may write to it
//! or turn the way to it elsewhere. A temporary folder has just been made, under a name that nobody else knew.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use liveswap_state::BuiltIn;

use super::accept::AcceptError;
use super::digest::Digest;
use super::folder;
use super::nodelete;
use super::obstacles::Obstacles;
use crate::lock::lock;
use crate::tell::tell;

/// How the names of the folders for rehearsals begin.
const REHEARSAL: &str = ".liveswap-rehearsal-";

/// The engine's own folder, with a private copy for each version that may still be needed.
///
/// One engine uses it at a time: it holds a lock on the file `lock` inside. What an engine before it left
/// behind is removed. If somebody cleans up in the file system and takes it for old, it's made anew.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    lock: Mutex<File>,
    /// The host has named it, so whose it is must be asked whenever it's made.
    is_named: bool,
    /// Removes the folder where the engine made it itself.
    _temporary: Option<tempfile::TempDir>,
}

impl PrivateFolder {
    /// The folder that the host has named. It's refused if others may decide what is in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::take(path.to_owned(), true, None)
    }

    /// A folder within one that an engine has made its own.
    pub(crate) fn within(path: &Path) -> io::Result<Self> {
        Self::take(path.to_owned(), false, None)
    }

    pub(crate) fn temporary() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("liveswap-").tempdir()?;
        Self::take(folder.path().to_owned(), false, Some(folder))
    }

    fn take(path: PathBuf, is_named: bool, temporary: Option<tempfile::TempDir>) -> io::Result<Self> {
        let lock = Mutex::new(make(&path, is_named)?);
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(is_copy) {
                fs::remove_file(entry.path())?;
            } else if name.to_str().is_some_and(|name| name.starts_with(REHEARSAL)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { path: path.canonicalize()?, lock, is_named, _temporary: temporary })
    }

    /// A file for a copy, which nobody can write to once this one is closed.
    fn create_at(&self, path: &Path) -> io::Result<File> {
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o400).open(path);
        create().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                *lock(&self.lock) = make(&self.path, self.is_named)?;
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
fn make(path: &Path, is_named: bool) -> io::Result<File> {
    // Whatever the process's umask is, nobody else may write to what is made here.
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    // Before the mode is set: that would hide what the folder was, and what others may have put there.
    if is_named && let Some(exposure) = folder::of_path(path)? {
        let message = format!("what lies there is loaded without a signature, and {exposure}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
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
    /// It stands for an implementation that is linked into the host, and holds the manifest of that.
    pub(crate) built_in: Option<BuiltIn>,
    /// What it holds, though somebody may clean the file away.
    content: File,
    /// Keeps the folder until its last copy is gone.
    folder: Arc<PrivateFolder>,
}

impl PrivateCopy {
    /// Makes a copy of a candidate with this content, and clears in both the flag that would keep it mapped.
    pub(crate) fn make(
        folder: &Arc<PrivateFolder>,
        content: &mut Cow<'_, [u8]>,
        digest: Digest,
    ) -> Result<Self, AcceptError> {
        nodelete::clear(content);
        Self::write(folder, content, digest, Obstacles::of(content), None)
    }

    /// Makes what stands for an implementation that is linked into the host. What it is, its manifest says: that of two
    /// builds of a host with the same manifest is taken for the same.
    pub(crate) fn of_built_in(folder: &Arc<PrivateFolder>, built_in: BuiltIn) -> Result<Self, AcceptError> {
        let content = built_in.entry().manifest;
        Self::write(folder, content, Digest::of(content), Obstacles::default(), Some(built_in))
    }

    fn write(
        folder: &Arc<PrivateFolder>,
        content: &[u8],
        digest: Digest,
        obstacles: Obstacles,
        built_in: Option<BuiltIn>,
    ) -> Result<Self, AcceptError> {
        let path = folder.fresh();
        let unwritable = |source| AcceptError::Unwritable { path: path.clone(), source };
        let mut file = folder.create_at(&path).map_err(unwritable)?;
        // From here on the file is removed whichever way this ends.
        let copy = File::open(&path).map(|content| Self {
            path: path.clone(),
            digest,
            obstacles,
            built_in,
            content,
            folder: folder.clone(),
        });
        let copy = copy.map_err(|source| {
            // Nobody else does it, without a copy that would when it's dropped.
            let _ = fs::remove_file(&path);
            unwritable(source)
        })?;
        file.write_all(content).map_err(unwritable)?;
        Ok(copy)
    }

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

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::chown;

    use super::super::accept::{CANDIDATE_SIZE_MAX, Source, accept};
    use super::*;

    /// How many copies there are in a private folder.
    pub(crate) fn copies(folder: &Path) -> usize {
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
    fn a_folder_that_others_may_fill_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let (above, path) = (place.path().join("above"), place.path().join("above/private"));
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = || {
            let error = PrivateFolder::open(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            error.to_string()
        };
        drop(PrivateFolder::open(&path).unwrap());
        set(&above, 0o777);
        let message = refused();
        assert!(message.contains("0777") && message.contains("chmod"), "{message}");
        set(&above, 0o1777);
        drop(PrivateFolder::open(&path).unwrap());
        set(&above, 0o755);
        set(&path, 0o757);
        let message = refused();
        assert!(message.contains("0757") && message.contains("chmod"), "{message}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o757, "it's left as it was");
    }

    #[test]
    fn another_users_folder_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return println!("skipped: only root can give a folder away");
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("private");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        chown(&path, Some(4711), None).unwrap();
        let error = PrivateFolder::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let message = error.to_string();
        assert!(message.contains("4711") && message.contains("chown"), "{message}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750, "it's left as it was");
        chown(&path, Some(0), None).unwrap();
        PrivateFolder::open(&path).unwrap();
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
