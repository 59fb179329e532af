//! Hosts with a factory, whose candidates are one fixture library under its name.

use std::path::{Path, PathBuf};

use fixture_api::trial::Trial;
use liveswap::status::ModuleStatus;
use liveswap::{Builder, Engine, Instance, Module, Push, PushError, PushOutcome, SetPushed};
use liveswap_state::Interface;
use tempfile::TempDir;

use crate::sets::candidate;
use crate::{Fixture, maps, wait_until};

/// The factory's name.
pub const FACTORY: &str = "room";

/// An engine with the factory, and its folder; gone when dropped.
#[derive(Debug)]
pub struct Rooms {
    /// Dropped first: it uses the folder.
    pub engine: Engine,
    folder: TempDir,
}

/// A candidate of the factory.
pub fn room(fixture: &Fixture) -> Push {
    candidate(FACTORY, fixture)
}

/// A good one of this version.
pub fn trial(version: &str) -> Push {
    room(&Fixture::trial(version))
}

/// An instance to be.
pub fn instance(name: &str) -> Instance {
    Instance::of(FACTORY, name)
}

impl Rooms {
    /// A host as `change` wants it, which is given the folder that goes with it. The factory has no version, and no
    /// instance that `change` doesn't declare.
    pub fn of<I: Interface + ?Sized>(change: impl FnOnce(Builder, &Path) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::within::<I>(folder, change)
    }

    /// The same in a folder that there is already.
    pub fn within<I: Interface + ?Sized>(
        folder: TempDir,
        change: impl FnOnce(Builder, &Path) -> Builder,
    ) -> Self {
        let builder = Engine::builder().factory::<I>(FACTORY).private_folder(folder.path().join("private"));
        let engine = change(builder, folder.path()).build().expect("an engine can be built");
        Self { engine, folder }
    }

    /// A host with these instances, which serve version 1001 of the logic for probation.
    pub fn serving(names: &[&str], change: impl FnOnce(Builder) -> Builder) -> Self {
        let host = Self::of::<dyn Trial>(|builder, _| change(builder));
        assert!(matches!(host.push(trial("1001")), PushOutcome::Waiting { .. }));
        names.iter().for_each(|name| host.create(instance(name)));
        host
    }

    /// Ends the engine; what is left is the folder.
    pub fn end(self) -> TempDir {
        let Self { engine, folder } = self;
        drop(engine);
        folder
    }

    /// Makes an instance.
    #[track_caller]
    pub fn create(&self, instance: Instance) {
        self.engine.create(instance).unwrap_or_else(|error| panic!("can't create: {error}"));
    }

    /// An instance isn't made, for this reason.
    #[track_caller]
    pub fn not_created(&self, code: &str, instance: Instance) -> String {
        let error = self.engine.create(instance).expect_err("there is no such instance");
        assert_eq!(error.code(), code, "{error}");
        error.to_string()
    }

    /// Destroys an instance.
    #[track_caller]
    pub fn destroy(&self, name: &str) {
        self.engine.destroy(name).unwrap_or_else(|error| panic!("can't destroy {name}: {error}"));
    }

    /// Pushes, and it isn't refused.
    #[track_caller]
    pub fn push(&self, push: impl Into<Push>) -> PushOutcome {
        self.engine.push(push).unwrap_or_else(|error| panic!("expected a publish, got {error}"))
    }

    /// Pushes, and all instances have it.
    #[track_caller]
    pub fn push_all(&self, push: impl Into<Push>) -> SetPushed {
        match self.push(push) {
            PushOutcome::Set(pushed) => pushed,
            other => panic!("expected a publish of all, got {other:?}"),
        }
    }

    /// Pushes, and it's refused with this code.
    #[track_caller]
    pub fn refused(&self, code: &str, push: impl Into<Push>) -> PushError {
        match self.engine.push(push) {
            Err(error) if error.code() == code => error,
            other => panic!("expected `{code}`, got {other:?}"),
        }
    }

    /// An instance's handle.
    #[track_caller]
    pub fn module<I: Interface + ?Sized>(&self, name: &str) -> Module<I> {
        self.engine.module(name).expect("there is such an instance")
    }

    /// The same of logic for probation.
    #[track_caller]
    pub fn trial(&self, name: &str) -> Module<dyn Trial> {
        self.module(name)
    }

    /// The versions that calls of these instances enter, by their own word.
    #[track_caller]
    pub fn versions<const COUNT: usize>(&self, names: [&str; COUNT]) -> [String; COUNT] {
        names.map(|name| self.trial(name).call(|room| room.version()).expect("it serves"))
    }

    /// An instance's status.
    #[track_caller]
    pub fn status(&self, name: &str) -> ModuleStatus {
        let mut modules = self.engine.status().modules.into_iter();
        modules.find(|status| status.name == name).expect("there is such an instance")
    }

    /// The engine's private folder.
    pub fn private(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists").join("private")
    }

    /// Waits until so many libraries are mapped.
    #[track_caller]
    pub fn wait_until_mapped(&self, count: usize) {
        let private = self.private();
        wait_until(&format!("{count} libraries are mapped"), || maps::mapped(&private).len() == count);
    }
}
