//! An engine that serves the benchmarks' logic, and two versions of that to push in turn.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use liveswap::status::ModuleStatus;
use liveswap::{Engine, Module, Published, Push, PushOutcome};
use liveswap_benches::Smallest;
use liveswap_tests::fixture::Fixture;

use crate::measure::callers::{Ended, Setting};
use crate::measure::pinned::stay_on;

const MODULE: &str = "logic";

/// An engine with an active version.
pub(crate) struct Live {
    engine: Engine,
    pub(crate) module: Module<dyn Smallest>,
    versions: [PathBuf; 2],
}

impl Live {
    /// Its threads keep to the processor that the setting has for the work.
    pub(crate) fn begin(setting: &Setting) -> Self {
        let versions = ["1", "2"].map(|version| Fixture::package("bench-logic", version).optimized().build());
        let build = || {
            // The threads that this one starts stay where it is.
            if let Some(processor) = setting.work {
                stay_on(processor);
            }
            Engine::builder().module::<dyn Smallest>(MODULE).build().expect("the engine starts")
        };
        let engine = thread::scope(|scope| scope.spawn(build).join()).expect("it doesn't panic");
        let module = engine.module(MODULE).expect("the module is declared");
        engine.push(&*versions[0]).expect("the logic loads");
        Self { engine, module, versions }
    }

    /// The version that isn't active.
    pub(crate) fn next(&self) -> &Path {
        let active = self.version();
        &self.versions[usize::from(active == 1)]
    }

    /// The version that answers.
    pub(crate) fn version(&self) -> u64 {
        self.module.call(|logic| logic.version()).expect("a version is active")
    }

    /// Pushes the version that isn't active.
    pub(crate) fn push(&self) -> Published {
        self.push_file(self.next())
    }

    pub(crate) fn push_file(&self, file: &Path) -> Published {
        match self.engine.push(Push::file(file).allow_older()).expect("the version is accepted") {
            PushOutcome::Published(published) => published,
            other => panic!("expected a publish, got {other:?}"),
        }
    }

    pub(crate) fn rollback(&self) -> Published {
        self.engine.rollback(MODULE).expect("there is a predecessor")
    }

    pub(crate) fn commit(&self) {
        self.engine.commit(MODULE).expect("there is a predecessor");
    }

    fn status(&self) -> ModuleStatus {
        self.engine.status().modules.remove(0)
    }

    /// Waits until every version that has left its slot is unmapped, so that what is measured next is alone.
    pub(crate) fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.status().retired.iter().any(|retired| retired.state != "unmapped") {
            assert!(Instant::now() < deadline, "a version stays in memory: {:?}", self.status().retired);
            // What is waited for may need this processor.
            thread::yield_now();
        }
    }

    /// What a caller does that isn't measured.
    pub(crate) fn call_on(&self, ended: &Ended) {
        let mut number = 0;
        while !ended.yet() {
            number = self.module.call(|logic| logic.next(number)).expect("it doesn't panic");
        }
        black_box(number);
    }
}
