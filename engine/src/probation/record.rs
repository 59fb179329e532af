//! The record: what the next start must know if this process doesn't live to tell.
//!
//! A version may be so bad that it takes the process along. Then nobody is left to roll it back, and the next start would
//! find it in the watched folder again, as the newest. So before a version goes on probation, its module's record says
//! so, in the engine's private folder; a start that finds it there knows that the process ended in the middle. It says
//! also what was rolled back, so that a restart doesn't take that up again, and which version took over.
//!
//! The record is a small file, `MODULE.probation`: a checksum, and JSON. It's written under another name, synced,
//! renamed, and its folder synced; so there is always the one before or the new one, whole. The predecessor's library is
//! kept beside it, as `MODULE.DIGEST.kept`, synced before a record names it, and removed once none does.
//!
//! | `on_probation` | `predecessor` | what it means |
//! |---|---|---|
//! | some | some | the first is on probation: a start that reads this goes back to the second |
//! | none | some | the second has taken over again: a start begins with it |
//! | none | none | nothing: a start begins with what it finds |

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::candidate::{Digest, VersionNumber, accept};
use crate::snapshot::disk::{Disk, RealDisk};
use crate::tell::tell;

/// How many withdrawn contents are remembered, the latest.
const WITHDRAWN_MAX: usize = 64;

/// The most bytes that a record may have: more than such a record ever has.
const LENGTH_MAX: u64 = 64 * 1024;

/// Why a record could not be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It can't be written, so what it would have said isn't known to the next start.
    #[error(
        "can't {doing} {path}: {source}: check the space on the disk and the private folder's permissions",
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
    /// It can't be read.
    #[error("can't read {path}: {source}: check the disk and the path's permissions", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its bytes aren't what was written.
    #[error("{path} is damaged: {what}: it's passed over, and what it said isn't known", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        what: String,
    },
}

impl RecordError {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "unwritable-record",
            Self::Unreadable { .. } => "unreadable-record",
            Self::Damaged { .. } => "damaged-record",
        }
    }
}

/// A version, as a record knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    #[serde(with = "text")]
    pub(crate) version: VersionNumber,
    #[serde(with = "text")]
    pub(crate) digest: Digest,
}

/// A version whose library is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    known: Known,
    /// Of the library as it is kept, which isn't always what was pushed, to the bit.
    #[serde(with = "text")]
    checksum: Digest,
}

/// What a record says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    on_probation: Option<Known>,
    predecessor: Option<Kept>,
    /// What was rolled back, the oldest first.
    withdrawn: Vec<Known>,
}

/// Texts that are written as they are displayed, and read as they are parsed.
mod text {
    use super::{Display, FromStr};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A module's record.
#[derive(Debug)]
pub(crate) struct Record {
    folder: PathBuf,
    module: String,
    disk: Arc<dyn Disk>,
    content: Content,
    /// What the record said before a version that isn't published yet was put on probation.
    before: Option<Content>,
    /// The disk may say something else than `content`: writing has failed after the point from which it may have happened.
    is_uncertain: bool,
}

impl Record {
    /// The module's record in the engine's private folder. One that can't be read is told of and passed over.
    pub(crate) fn open(folder: &Path, module: &str) -> Self {
        Self::open_on(Arc::new(RealDisk), folder, module)
    }

    fn open_on(disk: Arc<dyn Disk>, folder: &Path, module: &str) -> Self {
        let (folder, module) = (folder.to_owned(), module.to_owned());
        let mut record =
            Self { folder, module, disk, content: Content::default(), before: None, is_uncertain: false };
        match record.read() {
            Ok(content) => record.content = content,
            Err(error) => {
                let module = &record.module;
                tell(|| tracing::error!(module, code = error.code(), "{error}"));
            }
        }
        record
    }

    /// What was rolled back.
    pub(crate) fn withdrawn(&self) -> impl Iterator<Item = Digest> {
        self.content.withdrawn.iter().map(|known| known.digest)
    }

    /// The version that is on probation; at a start, the one that was when the process ended.
    pub(crate) fn on_probation(&self) -> Option<&Known> {
        self.content.on_probation.as_ref()
    }

    /// The version that a start begins with, if the record names one.
    pub(crate) fn predecessor(&self) -> Option<&Known> {
        self.content.predecessor.as_ref().map(|kept| &kept.known)
    }

    /// The predecessor's library.
    pub(crate) fn predecessor_content(&self) -> Result<Vec<u8>, RecordError> {
        let path = self.content.predecessor.as_ref().map(|kept| self.kept(kept.known.digest));
        let path = path.unwrap_or_default();
        let content = fs::read(&path);
        let content = content.map_err(|source| RecordError::Unreadable { path: path.clone(), source })?;
        let (found, expected) =
            (Digest::of(&content), self.content.predecessor.as_ref().map(|kept| kept.checksum));
        if Some(found) != expected {
            let what = format!("found checksum {found}, expected another");
            return Err(RecordError::Damaged { path, what });
        }
        Ok(content)
    }

    /// A version is about to go on probation. If this fails, it must not.
    ///
    /// What was known before is kept until [`settle`](Self::settle) or [`take_back`](Self::take_back).
    pub(crate) fn begin(
        &mut self,
        version: Known,
        predecessor: Known,
        copy: &Path,
    ) -> Result<(), RecordError> {
        let predecessor = self.keep(predecessor, copy)?;
        let withdrawn = self.content.withdrawn.iter().filter(|known| known.digest != version.digest).cloned();
        let content = Content {
            withdrawn: withdrawn.collect(),
            on_probation: Some(version),
            predecessor: Some(predecessor),
        };
        let before = self.content.clone();
        if let Err(error) = self.write(content) {
            // A library that was kept for this isn't needed, unless the record names it after all.
            if !self.is_uncertain {
                self.tidy();
            }
            return Err(error);
        }
        self.before = Some(before);
        Ok(())
    }

    /// The version that was about to go on probation was not published.
    pub(crate) fn take_back(&mut self) -> Result<(), RecordError> {
        let Some(before) = self.before.take() else { return Ok(()) };
        self.write(before)?;
        self.tidy();
        Ok(())
    }

    /// It was.
    pub(crate) fn settle(&mut self) {
        self.before = None;
        self.tidy();
    }

    /// Nobody is on probation any more, and whatever is active stays so.
    pub(crate) fn commit(&mut self) -> Result<(), RecordError> {
        let content = Content { withdrawn: self.content.withdrawn.clone(), ..Content::default() };
        self.write(content)?;
        self.tidy();
        Ok(())
    }

    /// A version that was withdrawn was taken back on purpose.
    pub(crate) fn admit(&mut self, digest: Digest) -> Result<(), RecordError> {
        let mut content = self.content.clone();
        content.withdrawn.retain(|known| known.digest != digest);
        self.write(content)
    }

    /// A version was withdrawn, and its predecessor, whose library is at `copy`, has taken over.
    pub(crate) fn roll_back(
        &mut self,
        withdrawn: Known,
        predecessor: Known,
        copy: &Path,
    ) -> Result<(), RecordError> {
        let predecessor = self.keep(predecessor, copy)?;
        self.withdraw(withdrawn, Some(predecessor))
    }

    /// A version was withdrawn, and its predecessor can't take over: a start begins with what it finds, but for that one.
    pub(crate) fn give_up(&mut self, withdrawn: Known) -> Result<(), RecordError> {
        self.withdraw(withdrawn, None)
    }

    fn withdraw(&mut self, withdrawn: Known, predecessor: Option<Kept>) -> Result<(), RecordError> {
        let mut all = self.content.withdrawn.clone();
        all.retain(|known| known.digest != withdrawn.digest);
        all.push(withdrawn);
        all.drain(..all.len().saturating_sub(WITHDRAWN_MAX));
        self.write(Content { on_probation: None, predecessor, withdrawn: all })?;
        self.tidy();
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.probation", self.module))
    }

    fn kept(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{}.{digest}.kept", self.module))
    }

    fn read(&self) -> Result<Content, RecordError> {
        let path = self.path();
        let bytes = match accept::read(&path, LENGTH_MAX) {
            Ok(bytes) => bytes,
            Err(accept::AcceptError::Unreadable { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(Content::default());
            }
            Err(accept::AcceptError::Unreadable { path, source }) => {
                return Err(RecordError::Unreadable { path, source });
            }
            Err(error) => return Err(RecordError::Damaged { path, what: error.to_string() }),
        };
        let damaged = |what: String| RecordError::Damaged { path: path.clone(), what };
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (stated, content) =
            bytes.split_at(end.ok_or_else(|| damaged("it has no checksum".to_owned()))? + 1);
        let found = format!("{}\n", Digest::of(content));
        if stated != found.as_bytes() {
            return Err(damaged(format!("found checksum {}, expected another", found.trim_end())));
        }
        serde_json::from_slice(content).map_err(|error| damaged(error.to_string()))
    }

    /// Has the record say something else. If it fails, it says what it said, or on a failing disk perhaps this.
    fn write(&mut self, content: Content) -> Result<(), RecordError> {
        // Somebody may have cleaned the folder away.
        let is_there = self.path().exists() == (content != Content::default());
        if content == self.content && !self.is_uncertain && is_there {
            return Ok(());
        }
        if content == Content::default() {
            return self.remove();
        }
        let json = serde_json::to_vec(&content).expect("it has only texts");
        let mut bytes = format!("{}\n", Digest::of(&json)).into_bytes();
        bytes.extend(json);
        let (path, partial) = (self.path(), self.folder.join(format!("{}.probation.partial", self.module)));
        // One that an earlier process has left.
        match self.disk.remove(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable("remove", &partial)(error));
            }
            _ => {}
        }
        let written = self.disk.create(&partial).map_err(unwritable("create", &partial)).and_then(|file| {
            self.disk.write(&file, 0, &bytes).map_err(unwritable("write", &partial))?;
            self.disk.sync_file(&file).map_err(unwritable("sync", &partial))?;
            self.is_uncertain = true;
            self.disk.rename(&partial, &path).map_err(unwritable("rename", &partial))
        });
        written.inspect_err(|_| {
            // If even that fails, the next write removes it.
            let _ = self.disk.remove(&partial);
        })?;
        self.disk.sync_folder(&self.folder).map_err(unwritable("sync", &self.folder))?;
        (self.content, self.is_uncertain) = (content, false);
        Ok(())
    }

    /// Has the record say nothing.
    fn remove(&mut self) -> Result<(), RecordError> {
        let path = self.path();
        self.is_uncertain = true;
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable("remove", &path)(error));
            }
            _ => {}
        }
        self.disk.sync_folder(&self.folder).map_err(unwritable("sync", &self.folder))?;
        (self.content, self.is_uncertain) = (Content::default(), false);
        Ok(())
    }

    /// Keeps a version's library under a name of its own, on the disk for good.
    fn keep(&self, known: Known, copy: &Path) -> Result<Kept, RecordError> {
        let path = self.kept(known.digest);
        let kept = self.content.predecessor.as_ref().filter(|kept| kept.known.digest == known.digest);
        if let Some(kept) = kept.filter(|_| path.exists()) {
            return Ok(kept.clone());
        }
        let content =
            fs::read(copy).map_err(|source| RecordError::Unreadable { path: copy.to_owned(), source })?;
        let checksum = Digest::of(&content);
        // A file of that name is left over, and may be anything.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unwritable("remove", &path)(error));
            }
            _ => {}
        }
        // Some file systems have no second names.
        fs::hard_link(copy, &path)
            .or_else(|_| fs::copy(copy, &path).map(drop))
            .map_err(unwritable("keep a library as", &path))?;
        let file = File::open(&path).map_err(unwritable("sync", &path))?;
        self.disk.sync_file(&file).map_err(unwritable("sync", &path))?;
        Ok(Kept { known, checksum })
    }

    /// Removes the libraries that the record doesn't name.
    fn tidy(&self) {
        let named = self.content.predecessor.as_ref().map(|kept| self.kept(kept.known.digest));
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        for path in paths.filter(|path| self.is_kept(path) && Some(path) != named.as_ref()) {
            if let Err(error) = self.disk.remove(&path) {
                tell(
                    || tracing::warn!(path = %path.display(), %error, "can't remove a library that isn't needed"),
                );
            }
        }
    }

    /// Whether it's a library of this module's.
    fn is_kept(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(OsStr::to_str).and_then(|name| name.strip_suffix(".kept"));
        name.and_then(|name| name.split_once('.'))
            .is_some_and(|(module, digest)| module == self.module && digest.parse::<Digest>().is_ok())
    }
}

fn unwritable(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    move |source| RecordError::Unwritable { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
