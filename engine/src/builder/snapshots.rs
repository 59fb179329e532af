//! Keeping snapshots: where, how many and how often.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::{Builder, Maker, system};
use crate::control::Snapshots;
#[cfg(doc)]
use crate::engine::Engine;
use crate::error::BuildError;

/// How many snapshots are kept, unless the host says otherwise.
const KEEP: NonZeroUsize = NonZeroUsize::new(3).expect("it isn't zero");

/// Where snapshots are kept, how many, and how often one is taken.
pub(super) struct SnapshotSettings {
    folder: PathBuf,
    keep: NonZeroUsize,
    interval: Option<Duration>,
    at_end: bool,
}

impl Builder {
    /// Keeps snapshots of each module's state in a folder, the latest few. The first version that is loaded begins with
    /// the newest one that is intact; one is taken when the engine ends, and whenever it's [asked
    /// for](Engine::snapshot). The folder is made if it is missing.
    pub fn snapshots(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let fresh = SnapshotSettings { folder: folder.clone(), keep: KEEP, interval: None, at_end: true };
        self.snapshots = Some(SnapshotSettings { folder, ..self.snapshots.unwrap_or(fresh) });
        self
    }

    /// How many snapshots of a module are kept. 3, unless set. After [`snapshots`](Self::snapshots).
    pub fn snapshots_max(mut self, keep: NonZeroUsize) -> Self {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.keep = keep;
        }
        self
    }

    /// How often a snapshot is taken by itself. Never, unless set. After [`snapshots`](Self::snapshots).
    pub fn snapshot_every(mut self, interval: Duration) -> Self {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.interval = Some(interval);
        }
        self
    }

    /// Whether a snapshot is taken when the engine ends. It is, unless set. After [`snapshots`](Self::snapshots).
    pub fn snapshot_at_end(mut self, is_taken: bool) -> Self {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.at_end = is_taken;
        }
        self
    }
}

impl Maker {
    pub(super) fn open_snapshots(&self, module: &str) -> Result<Option<Snapshots>, BuildError> {
        let Some(SnapshotSettings { folder, keep, interval, at_end }) = &self.snapshots else {
            return Ok(None);
        };
        let what = format!("keep snapshots in {}", folder.display());
        Snapshots::open(folder, module, *keep, *interval, *at_end).map(Some).map_err(system(&what))
    }
}
