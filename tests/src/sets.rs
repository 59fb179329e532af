//! Hosts with a set of three modules, whose versions are one fixture library under three names.

use std::env;

use fixture_api::trial::Trial;
use liveswap::{Builder, Engine, Module, Push, SetPushed, SetStatus};
use tempfile::TempDir;

use crate::{Fixture, Patched, outcome};

/// The set's name.
pub const SET: &str = "node";

/// Its members.
pub const MEMBERS: [&str; 3] = ["chain", "net", "pool"];

/// How often a set is swapped under load, unless `LIVESWAP_SET_SWAPS` says otherwise; `ci/sets` says 500.
const SWAPS: usize = 40;

/// How often a set is to be swapped under load.
pub fn swaps() -> usize {
    env::var("LIVESWAP_SET_SWAPS").map_or(SWAPS, |count| count.parse().expect("it's a number"))
}

/// The next of a sequence that looks like chance.
pub fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// An engine with the set, and its folder.
#[derive(Debug)]
pub struct SetHost {
    /// Dropped first: it uses the folder.
    pub engine: Engine,
    /// Its private folder.
    pub folder: TempDir,
}

/// A candidate for a module.
pub fn candidate(module: &str, fixture: &Fixture) -> Push {
    let (content, version) = (Patched::of(fixture.build()).module(module), fixture.version());
    Push::content(format!("{module}.v{version}.so"), content.bytes().to_vec())
}

/// Version 1001, which is as it should be.
pub fn first(module: &str) -> Push {
    candidate(module, &Fixture::trial("1001"))
}

/// Version 1002, as good.
pub fn second(module: &str) -> Push {
    candidate(module, &Fixture::trial("1002"))
}

impl SetHost {
    /// With what else the host is to have; without a version yet.
    pub fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let builder = Engine::builder().private_folder(folder.path()).set(SET, MEMBERS);
        let builder = MEMBERS.iter().fold(builder, |builder, module| builder.module::<dyn Trial>(*module));
        let engine = change(builder).build().expect("an engine can be built");
        Self { engine, folder }
    }

    /// The same, and each module serves version 1001.
    pub fn serving(change: impl FnOnce(Builder) -> Builder) -> Self {
        let host = Self::with(change);
        host.push(MEMBERS.map(first));
        host
    }

    /// Pushes candidates as one, and they are published.
    #[track_caller]
    pub fn push(&self, candidates: impl IntoIterator<Item = Push>) -> SetPushed {
        let pushed = self.engine.push_set(SET, candidates);
        pushed.unwrap_or_else(|error| panic!("expected a publish, got {error}"))
    }

    /// Pushes candidates as one, and they are refused with this code.
    #[track_caller]
    pub fn refused(&self, code: &str, candidates: impl IntoIterator<Item = Push>) {
        outcome::refused(code, self.engine.push_set(SET, candidates));
    }

    /// A member's handle.
    pub fn module(&self, name: &str) -> Module<dyn Trial> {
        self.engine.module(name).expect("it was declared")
    }

    /// The versions that calls enter, by their own word.
    pub fn versions(&self) -> [String; 3] {
        MEMBERS.map(|name| self.module(name).call(|part| part.version()).expect("it serves"))
    }

    /// The set's status.
    pub fn status(&self) -> SetStatus {
        self.engine.status().sets.remove(0)
    }
}
