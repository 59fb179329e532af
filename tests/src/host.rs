//! A host with one module, and folders of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fixture_api::Game;
use liveswap::status::{ModuleStatus, RetiredStatus};
use liveswap::{Builder, Engine, Module, Published, Push, PushError};
use liveswap_state::Interface;
use tempfile::TempDir;

use crate::commands::make;
use crate::{maps, outcome, wait_until};

/// The module that the fixture libraries are versions of.
pub const MODULE: &str = "logic";

/// An engine and its folders, gone when dropped.
#[derive(Debug)]
pub struct Host {
    /// Dropped first: it uses the folders.
    pub engine: Engine,
    private: PathBuf,
    folder: TempDir,
}

/// What an engine has left when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Libraries of its private folder that are still mapped.
    pub mapped: usize,
    /// Libraries that still lie there.
    pub copies: usize,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host as most tests want it.
    pub fn new() -> Self {
        Self::with(|builder, _| builder)
    }

    /// A host with more than that. `change` is given the folder that goes with it.
    pub fn with(change: impl FnOnce(Builder, &Path) -> Builder) -> Self {
        Self::of::<dyn Game>(change)
    }

    /// A host whose module has another interface.
    pub fn of<I: Interface + ?Sized>(change: impl FnOnce(Builder, &Path) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().canonicalize().expect("it exists");
        make(&path);
        let private = path.join("private");
        let builder = Engine::builder().module::<I>(MODULE).private_folder(&private);
        let engine = change(builder, &path).build().expect("an engine can be built");
        Self { engine, private, folder }
    }

    /// A host that serves a version already.
    pub fn serving(candidate: impl AsRef<Path>) -> Self {
        let host = Self::new();
        host.push(candidate.as_ref());
        host
    }

    /// A folder for whatever a test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine's private folder.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// Ends the engine. What is left of it then.
    pub fn end(self) -> Left {
        let Self { engine, private, folder } = self;
        drop(engine);
        let files = fs::read_dir(&private).into_iter().flatten();
        let names = files.map(|entry| entry.expect("its entries can be read").file_name());
        let copies = names.filter(|name| name.to_string_lossy().ends_with(".so")).count();
        let left = Left { mapped: maps::mapped_code(&private).len(), copies };
        drop(folder);
        left
    }

    /// The module's handle.
    pub fn game(&self) -> Module<dyn Game> {
        self.module()
    }

    /// The module's handle, by the interface that it was declared with.
    pub fn module<I: Interface + ?Sized>(&self) -> Module<I> {
        self.engine.module(MODULE).expect("it was declared")
    }

    /// The version that calls enter, by its own word.
    pub fn version(&self) -> String {
        self.game().call(|game| game.version()).expect("there is an active version")
    }

    /// Pushes, and it's published.
    #[track_caller]
    pub fn push(&self, push: impl Into<Push>) -> Published {
        outcome::published(self.engine.push(push))
    }

    /// Pushes, and it's refused with this code.
    #[track_caller]
    pub fn refused(&self, code: &str, push: impl Into<Push>) -> PushError {
        outcome::refused(code, self.engine.push(push))
    }

    /// Returns to the predecessor.
    #[track_caller]
    pub fn rollback(&self) -> Published {
        self.engine.rollback(MODULE).unwrap_or_else(|error| panic!("can't roll back: {error}"))
    }

    /// Ends probation; the version that stays.
    #[track_caller]
    pub fn commit(&self) -> String {
        self.engine.commit(MODULE).unwrap_or_else(|error| panic!("can't commit: {error}")).to_string()
    }

    /// The module's status.
    pub fn status(&self) -> ModuleStatus {
        self.engine.status().modules.remove(0)
    }

    /// The versions in the slots, active first.
    pub fn slots(&self) -> (Option<String>, Option<String>) {
        let status = self.status();
        let version = |slot: Option<liveswap::status::SlotStatus>| slot.map(|slot| slot.version.to_string());
        (version(status.active), version(status.standby))
    }

    /// The latest entry for a version that has left its slot.
    pub fn retired(&self, version: &str) -> Option<RetiredStatus> {
        self.status().retired.into_iter().rfind(|retired| retired.version.to_string() == version)
    }

    /// The libraries of this host that are mapped.
    pub fn mapped(&self) -> BTreeSet<PathBuf> {
        maps::mapped(&self.private)
    }

    /// The libraries of this host that lie in its private folder.
    pub fn copies(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(&self.private)
            .expect("the private folder is there")
            .map(|entry| entry.expect("its entries can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
            .collect()
    }

    /// Waits until so many libraries are mapped.
    #[track_caller]
    pub fn wait_until_mapped(&self, count: usize) {
        wait_until(&format!("{count} libraries are mapped"), || self.mapped().len() == count);
    }

    /// Waits until the status says that a retired version is unmapped.
    #[track_caller]
    pub fn wait_until_unmapped(&self, version: &str) {
        let is_unmapped = || self.retired(version).is_some_and(|retired| retired.state == "unmapped");
        wait_until(&format!("{version} is unmapped"), is_unmapped);
    }
}
