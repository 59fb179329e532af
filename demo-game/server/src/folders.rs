//! What is where in the demo's folder.

use std::fs;
use std::path::{Path, PathBuf};

/// The demo's folder.
#[derive(Clone, Debug)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The watched folder: a version that is copied here is loaded.
    pub fn modules(&self) -> PathBuf {
        self.root.join("modules")
    }

    /// The versions that `/load` may name.
    pub fn candidates(&self) -> PathBuf {
        self.root.join("candidates")
    }

    /// The socket that the `liveswap` command talks to.
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }

    /// The snapshots of the world, with which the next start begins.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Whether there is a snapshot, and so a world to go on with.
    pub fn has_snapshot(&self) -> bool {
        let Ok(entries) = fs::read_dir(self.snapshots()) else { return false };
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths.any(|path| path.extension().is_some_and(|extension| extension == "snapshot"))
    }

    /// The engine's private copies of what it loaded.
    pub fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }
}
