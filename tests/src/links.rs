//! A host with modules that call each other.

use std::path::{Path, PathBuf};

use fixture_api::links::{How, Link, Step};
use liveswap::status::ModuleStatus;
use liveswap::{Builder, Engine, Module, Published, Push, PushError};
use tempfile::TempDir;

use crate::{Fixture, Patched, maps, outcome, wait_until};

/// The module that others depend on.
pub const CHAIN: &str = "chain";
/// The module that depends on it.
pub const NET: &str = "net";

/// An engine with two modules, [`CHAIN`] and [`NET`], and its folder; gone when dropped.
#[derive(Debug)]
pub struct Links {
    /// Dropped first: it uses the folder.
    pub engine: Engine,
    folder: TempDir,
}

impl Links {
    /// A host as `change` wants it, which is given the folder that goes with it. No module has a version.
    pub fn with(change: impl FnOnce(Builder, &Path) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let builder = Engine::builder().module::<dyn Link>(CHAIN).module::<dyn Link>(NET);
        let builder = builder.private_folder(folder.path().join("private"));
        let engine = change(builder, folder.path()).build().expect("an engine can be built");
        Self { engine, folder }
    }

    /// A host whose modules serve version 1001.
    pub fn serving() -> Self {
        Self::serving_with(|builder| builder)
    }

    /// The same, as `change` wants it.
    pub fn serving_with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let host = Self::with(|builder, _| change(builder));
        for module in [CHAIN, NET] {
            host.push(Fixture::link(module, "1001").build());
        }
        host
    }

    /// A folder for whatever a test needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A module's handle.
    pub fn module(&self, name: &str) -> Module<dyn Link> {
        self.engine.module(name).expect("it was declared")
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

    /// Pushes the same logic under another version's number.
    #[track_caller]
    pub fn push_version(&self, module: &'static str, version: &str) -> Published {
        let library = Patched::of(Fixture::link(module, "1001").build()).version(version);
        self.push(Push::content(format!("{module}.v{version}.so"), library.bytes().to_vec()))
    }

    /// A module's status.
    pub fn status(&self, module: &str) -> ModuleStatus {
        let mut modules = self.engine.status().modules.into_iter();
        modules.find(|status| status.name == module).expect("it was declared")
    }

    /// Waits until no more than so many libraries are mapped.
    #[track_caller]
    pub fn wait_until_mapped(&self, count: usize) {
        let private: PathBuf = self.folder.path().canonicalize().expect("it exists").join("private");
        wait_until(&format!("{count} libraries are mapped"), || maps::mapped(&private).len() <= count);
    }
}

/// On to a module.
pub fn to(module: &str, how: How) -> Step {
    Step::To(module.to_owned(), how)
}
