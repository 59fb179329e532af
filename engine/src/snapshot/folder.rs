//! One module's snapshots in a folder.
//!
//! Whenever the process or the machine stops, the folder must hold the newest snapshot that was said to be taken,
//! whole. A snapshot is written to `MODULE.NUMBER.partial`; then, each only after the one before has succeeded:
//!
//! 1. its content is synced: it's on the disk before anything calls it a snapshot;
//! 2. it's renamed to `MODULE.NUMBER.snapshot`;
//! 3. the folder is synced: the name is on the disk too, and the snapshot is taken;
//! 4. older ones are removed, but never one that this process hasn't found intact or written itself.
//!
//! What fails before the third step has succeeded leaves nothing behind: otherwise a disk that keeps failing
//! would fill up.
//!
//! Numbers only rise. The names of a module's files begin with the module's and a dot, which no module's name has, so
//! modules can share a folder. Engines can't: `MODULE.lock` is locked for as long as one uses it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use liveswap_state::manifest::is_name;

use super::disk::{Disk, RealDisk};
use super::error::{DraftError, SnapshotError};
use super::format::{Label, Writer};
use super::intact::Intact;
use crate::tell::tell;

/// Every number has so many digits: then names sort as numbers do.
const DIGITS: usize = 12;
/// The largest of such numbers.
const NUMBER_MAX: u64 = 10_u64.pow(DIGITS as u32) - 1;

/// The snapshots of one module. One engine uses them at a time.
#[derive(Debug)]
pub(crate) struct SnapshotFolder {
    path: PathBuf,
    module: String,
    keep: NonZeroUsize,
    disk: Arc<dyn Disk>,
    /// The last number that was given out.
    last: u64,
    /// The numbers of those that this process has written, or has found intact. Only these may be removed.
    intact: BTreeSet<u64>,
    /// One that isn't removed, however many there are; 0 if there is none such.
    held: Arc<AtomicU64>,
    _lock: File,
}

/// What a file of the module's is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A snapshot, as its name says.
    Snapshot,
    /// One that isn't finished.
    Partial,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Partial => "partial",
        }
    }
}

/// What a look for the newest snapshot has found.
#[derive(Debug)]
pub(crate) struct Newest {
    /// The newest that is intact.
    pub(crate) intact: Option<Intact>,
    /// Its number; the lowest that there is, if none is intact.
    pub(crate) number: u64,
    /// Why each newer one can't be used, from the newest on. They are still there.
    pub(crate) refused: Vec<SnapshotError>,
}

/// A snapshot that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) path: PathBuf,
    /// The file's length, in bytes.
    pub(crate) length: u64,
    /// Why older ones that are too many could not be removed. That is tried again with the next snapshot.
    pub(crate) not_removed: Vec<DraftError>,
}

impl SnapshotFolder {
    /// Takes the folder for `module`, and makes it if there is none. Of the newest snapshots, `keep` are kept.
    ///
    /// What an earlier engine left unfinished is removed.
    pub(crate) fn open(path: &Path, module: &str, keep: NonZeroUsize) -> io::Result<Self> {
        Self::open_on(Arc::new(RealDisk), path, module, keep)
    }

    fn open_on(disk: Arc<dyn Disk>, path: &Path, module: &str, keep: NonZeroUsize) -> io::Result<Self> {
        debug_assert!(is_name(module), "a module's name is checked when it's declared");
        make_folder(&path::absolute(path)?)?;
        let path = path.canonicalize()?;
        check_permissions(&path)?;
        let lock = path.join(format!("{module}.lock"));
        drop(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock)?);
        // For reading, so that nobody is kept from making the file system read-only.
        let lock = File::open(lock)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::WouldBlock,
                format!("another engine keeps snapshots of `{module}` in this folder: give each its own"),
            ),
            TryLockError::Error(error) => error,
        })?;
        let module = module.to_owned();
        let folder = Self {
            path,
            module,
            keep,
            disk,
            last: 0,
            intact: BTreeSet::new(),
            held: Arc::default(),
            _lock: lock,
        };
        for (number, kind) in folder.list()? {
            let path = folder.name(number, kind);
            // A folder of such a name isn't the engine's.
            if kind == Kind::Partial && !path.is_dir() {
                folder.disk.remove(&path)?;
            }
        }
        Ok(folder)
    }

    /// Looks for the newest intact snapshot. It removes nothing.
    ///
    /// All that is in a newer one which can't be read is lost to whoever goes on from here, so `refused` must be told.
    pub(crate) fn newest(&mut self) -> Result<Newest, SnapshotError> {
        self.newest_before(u64::MAX)
    }

    /// The same among those with lower numbers than this.
    pub(crate) fn newest_before(&mut self, end: u64) -> Result<Newest, SnapshotError> {
        let mut refused = Vec::new();
        for number in self.snapshots()?.into_iter().filter(|number| *number < end).rev() {
            match self.verify(number) {
                Ok(intact) => return Ok(Newest { intact: Some(intact), number, refused }),
                Err(error) => refused.push(error),
            }
        }
        Ok(Newest { intact: None, number: 0, refused })
    }

    /// What says which snapshot isn't removed, and what number that would be now: the newest's.
    pub(crate) fn held(&self) -> (Arc<AtomicU64>, u64) {
        (self.held.clone(), self.intact.last().copied().unwrap_or(0))
    }

    /// Reads those snapshots that nobody has looked at yet, and returns why some of them can't be used.
    ///
    /// [`newest`](Self::newest) stops at the first intact one. What is older is removed only once this was called:
    /// without it, each start would leave what the process before it has kept.
    pub(crate) fn verify_older(&mut self) -> Result<Vec<SnapshotError>, SnapshotError> {
        let numbers = self.snapshots()?;
        let unknown: Vec<u64> = numbers.difference(&self.intact).copied().collect();
        Ok(unknown.into_iter().filter_map(|number| self.verify(number).err()).collect())
    }

    /// Begins a snapshot.
    pub(crate) fn begin(&mut self) -> Result<Draft<'_>, DraftError> {
        let present = self.list().map_err(unwritable("list", &self.path))?;
        // Somebody may have put files in or taken some away. A new one must not replace what was put in, and what was
        // taken away doesn't count as kept.
        let highest = present.iter().map(|(number, _)| *number).max().unwrap_or(0).max(self.last);
        let present = snapshots_among(present);
        self.intact.retain(|number| present.contains(number));
        if highest >= NUMBER_MAX {
            return Err(DraftError::NoNumberLeft { last: self.name(highest, Kind::Snapshot) });
        }
        self.last = highest + 1;
        let path = self.name(self.last, Kind::Partial);
        let file = self.disk.create(&path).map_err(unwritable("create", &path))?;
        let writer = Writer::new(self.disk.clone(), file, path.clone());
        Ok(Draft { number: self.last, writer, unfinished: Some(path), folder: self })
    }

    /// Whether the snapshot of this number is intact, which is remembered.
    fn verify(&mut self, number: u64) -> Result<Intact, SnapshotError> {
        let verified = Intact::open(&self.name(number, Kind::Snapshot));
        match verified {
            Ok(_) => self.intact.insert(number),
            Err(_) => self.intact.remove(&number),
        };
        verified
    }

    /// Removes the oldest of those that are known to be intact, if they are too many.
    fn prune(&mut self) -> Vec<DraftError> {
        let surplus = self.intact.len().saturating_sub(self.keep.get());
        // Relaxed: whoever changes it doesn't wait for a snapshot that is being written.
        let held = self.held.load(Ordering::Relaxed);
        let surplus: Vec<u64> =
            self.intact.iter().filter(|number| **number != held).take(surplus).copied().collect();
        let mut not_removed = Vec::new();
        for number in surplus {
            let path = self.name(number, Kind::Snapshot);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    not_removed.push(unwritable("remove", &path)(error));
                }
                _ => {
                    self.intact.remove(&number);
                }
            }
        }
        not_removed
    }

    /// Removes all files of the module's, whatever is in them: there is no module any more.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.intact.clear();
        for (number, kind) in self.list()? {
            self.disk.remove(&self.name(number, kind))?;
        }
        self.disk.remove(&self.path.join(format!("{}.lock", self.module)))?;
        self.disk.sync_folder(&self.path)
    }

    fn snapshots(&self) -> Result<BTreeSet<u64>, SnapshotError> {
        let unreadable = |source| SnapshotError::Unreadable { path: self.path.clone(), source };
        Ok(snapshots_among(self.list().map_err(unreadable)?))
    }

    /// The module's files. Of each only the number is kept, so a folder with very many takes little memory.
    fn list(&self) -> io::Result<Vec<(u64, Kind)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            files.extend(self.parse(&entry?.file_name()));
        }
        Ok(files)
    }

    fn name(&self, number: u64, kind: Kind) -> PathBuf {
        self.path.join(format!("{}.{number:0DIGITS$}.{}", self.module, kind.suffix()))
    }

    /// What [`name`](Self::name) was made of; nothing if it's somebody else's.
    fn parse(&self, name: &OsStr) -> Option<(u64, Kind)> {
        let rest = name.to_str()?.strip_prefix(&self.module)?.strip_prefix('.')?;
        let (digits, suffix) = rest.split_once('.')?;
        let kind = [Kind::Snapshot, Kind::Partial].into_iter().find(|kind| kind.suffix() == suffix)?;
        let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten().map(|number| (number, kind))
    }
}

fn snapshots_among(files: Vec<(u64, Kind)>) -> BTreeSet<u64> {
    files.into_iter().filter(|(_, kind)| *kind == Kind::Snapshot).map(|(number, _)| number).collect()
}

fn unwritable(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DraftError {
    move |source| DraftError::Unwritable { doing, path: path.to_owned(), source }
}

/// Makes a folder that only its owner may look into (0700), and what is missing above it. Each name is synced: a
/// snapshot isn't on the disk before its folder is.
fn make_folder(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let mut made = DirBuilder::new().mode(0o700).create(path);
    if made.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        make_folder(parent)?;
        made = DirBuilder::new().mode(0o700).create(path);
    }
    match made {
        Ok(()) => File::open(parent)?.sync_all(),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whoever may write into the folder decides what the state is, so that must not be anybody.
fn check_permissions(path: &Path) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        let what = format!(
            "{} may be written by every user (found mode {mode:04o}, expected none for others): `chmod o-w` it",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

/// A snapshot that is being written. Dropped before it's finished, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Draft<'folder> {
    folder: &'folder mut SnapshotFolder,
    number: u64,
    writer: Writer,
    /// The file, by the name it has now, for as long as it isn't on the disk for good.
    unfinished: Option<PathBuf>,
}

impl Draft<'_> {
    /// Takes the blocks.
    pub(crate) fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Makes the draft a snapshot, and removes older ones that are too many. If it returns an error, there is no new
    /// snapshot; once it has returned, there is one, whatever happens to the machine.
    pub(crate) fn finish(mut self, label: Label) -> Result<Taken, DraftError> {
        self.writer.finish(label)?;
        let partial = self.folder.name(self.number, Kind::Partial);
        let path = self.folder.name(self.number, Kind::Snapshot);
        let disk = self.folder.disk.clone();
        // Never tried again on the same file: after a failed sync, the next one may succeed without having written.
        disk.sync_file(self.writer.file()).map_err(unwritable("sync", &partial))?;
        disk.rename(&partial, &path).map_err(unwritable("rename", &partial))?;
        self.unfinished = Some(path.clone());
        disk.sync_folder(&self.folder.path).map_err(unwritable("sync", &self.folder.path))?;
        self.unfinished = None;
        self.folder.intact.insert(self.number);
        let not_removed = self.folder.prune();
        Ok(Taken { path, length: self.writer.file_length(), not_removed })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let Some(path) = self.unfinished.take() else { return };
        if let Err(error) = self.folder.disk.remove(&path) {
            tell(|| tracing::warn!(path = %path.display(), %error, "can't remove an unfinished snapshot"));
        }
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;
