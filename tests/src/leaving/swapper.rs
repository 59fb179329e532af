//! A host whose module goes back and forth between two versions.

use std::path::PathBuf;

use fixture_api::behaviours::Behaviours;
use liveswap::{Builder, Engine, Module, Push};
use tempfile::TempDir;

use crate::host::MODULE;
use crate::{Fixture, Patched, comes_true, maps};

pub(super) struct Swapper {
    /// Dropped first: it uses the folder.
    engine: Engine,
    /// The one that is pushed next comes first.
    candidates: [PathBuf; 2],
    private: PathBuf,
    _folder: TempDir,
}

impl Swapper {
    /// Serves the first version already.
    pub(super) fn new(features: &[&'static str], change: impl FnOnce(Builder) -> Builder) -> Self {
        // As a server has one: who is told of an event does something about it.
        tracing_subscriber::fmt().with_writer(std::io::sink).init();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let private = folder.path().canonicalize().expect("it exists").join("private");
        let builder = Engine::builder().module::<dyn Behaviours>(MODULE).private_folder(&private);
        let engine = change(builder).build().expect("an engine can be built");
        let first = build(features);
        let second = Patched::of(&first).version("1002").write(folder.path(), "1002");
        let candidates = [first, second];
        let mut swapper = Self { engine, candidates, private, _folder: folder };
        swapper.push();
        swapper
    }

    pub(super) fn module(&self) -> Module<dyn Behaviours> {
        self.engine.module(MODULE).expect("it was declared")
    }

    /// Pushes the version that isn't active, and gives the other one up.
    pub(super) fn swap(&mut self) {
        self.push();
        self.engine.commit(MODULE).unwrap_or_else(|error| panic!("can't commit: {error}"));
    }

    fn push(&mut self) {
        let push = Push::file(&self.candidates[0]).allow_older();
        self.engine.push(push).unwrap_or_else(|error| panic!("refused, `{}`: {error}", error.code()));
        self.candidates.swap(0, 1);
    }

    /// Of how many versions code is mapped.
    pub(super) fn mapped(&self) -> usize {
        maps::mapped_code(&self.private).len()
    }

    /// Waits until only the active version is left. `pass` has every thread pass through the engine, which a
    /// version may be waiting for.
    pub(super) fn wait_until_alone(&self, mut pass: impl FnMut()) {
        let is_alone = comes_true(|| {
            pass();
            self.mapped() == 1
        });
        assert!(is_alone, "{} versions are mapped: {:?}", self.mapped(), self.engine.status().modules);
    }
}

/// Optimized if this program is.
fn build(features: &[&'static str]) -> PathBuf {
    let fixture = Fixture::package("fixture-behaviours", "1001");
    let fixture = features.iter().fold(fixture, |fixture, feature| fixture.feature(feature));
    if cfg!(debug_assertions) { fixture.build() } else { fixture.optimized().build() }
}
