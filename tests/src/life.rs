//! Modules that keep a diary of their lives, and require each other.
//!
//! Tests that use this take turns, because they look at the process's one log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use fixture_api::Latch;
use fixture_api::life::Life;
use liveswap::{Builder, CallError, Engine, LifecyclePhase, PushError, PushOutcome, Registration};
use tempfile::TempDir;

use crate::log::{Log, Record};
use crate::{Fixture, wait_until};

/// Requires none.
pub fn chain() -> Registration {
    Registration::of::<dyn Life>("chain")
}

/// Requires none.
pub fn http() -> Registration {
    Registration::of::<dyn Life>("http")
}

/// Requires `chain`.
pub fn net() -> Registration {
    Registration::of::<dyn Life>("net").requires(chain)
}

/// Requires `net` and `http`.
pub fn net_api() -> Registration {
    Registration::of::<dyn Life>("net_api").requires(net).requires(http)
}

/// A test's turn, its folder, and the log since it began.
#[derive(Debug)]
pub struct Scene {
    folder: TempDir,
    began: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// Waits for its turn.
    pub fn begin() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed has left the log as it is.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Log::of_this_process().records().len();
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made"), began, _turn: turn }
    }

    /// A folder that is watched. Another may be made by its name.
    pub fn modules(&self) -> PathBuf {
        let folder = self.folder.path().canonicalize().expect("it exists").join("modules");
        fs::create_dir_all(&folder).expect("a temporary folder can be written");
        folder
    }

    /// The log since.
    pub fn records(&self) -> Vec<Record> {
        Log::of_this_process().records().split_off(self.began)
    }

    /// What logic has told of its hooks, `module hook` each.
    pub fn told(&self) -> Vec<String> {
        let records = self.records().into_iter().filter(|record| record.target == "fixture_life");
        records.map(|record| record.text("message").to_owned()).collect()
    }

    /// The same of hooks of a module's life alone.
    pub fn lived(&self) -> Vec<String> {
        let is_of_life = |told: &String| {
            ["initialize", "start", "stop"].iter().any(|hook| told.ends_with(&format!(" {hook}")))
        };
        self.told().into_iter().filter(is_of_life).collect()
    }

    /// What the engine's log says of a module.
    pub fn said(&self, module: &str, message: &str) -> bool {
        let is_it =
            |record: &Record| record.text("module") == module && record.text("message").contains(message);
        self.records().iter().any(is_it)
    }
}

/// Puts a candidate into a folder, as one does: whole.
pub fn put(candidate: &Path, folder: &Path) {
    let (fresh, name) = (folder.join("fresh"), candidate.file_name().expect("a candidate is a file"));
    fs::copy(candidate, &fresh).expect("a temporary folder can be written");
    fs::rename(fresh, folder.join(name)).expect("a temporary folder can be written");
}

/// Version 1 of a module, whose hooks do what they should.
pub fn life(module: &'static str) -> PathBuf {
    Fixture::life(module, "1").build()
}

/// Pushes, and it's published.
#[track_caller]
pub fn push(engine: &Engine, candidate: impl AsRef<Path>) {
    let outcome = engine.push(candidate.as_ref());
    assert!(matches!(outcome, Ok(PushOutcome::Published(_))), "{outcome:?}");
}

/// Pushes, and it's refused with this code.
#[track_caller]
pub fn refused(engine: &Engine, code: &str, candidate: impl AsRef<Path>) -> PushError {
    match engine.push(candidate.as_ref()) {
        Err(error) if error.code() == code => error,
        other => panic!("expected `{code}`, got {other:?}"),
    }
}

/// Each module's phase.
pub fn phases(engine: &Engine) -> BTreeMap<String, LifecyclePhase> {
    engine.status().modules.into_iter().map(|module| (module.name, module.lifecycle)).collect()
}

/// What a module has written into its diary, which is its state.
pub fn diary(engine: &Engine, module: &str) -> Result<Vec<String>, CallError> {
    engine.module::<dyn Life>(module).expect("it was declared").call(|life| life.diary())
}

/// An engine that leaves it to the test to start modules.
pub fn by_hand(registration: Registration) -> Engine {
    Engine::builder().register(registration).start_by_hand().build().expect("an engine can be built")
}

/// An engine for `net`, which serves both modules.
pub fn serving(change: impl FnOnce(Builder) -> Builder) -> Engine {
    let engine = change(Engine::builder().register(net())).build().expect("an engine can be built");
    push(&engine, life("chain"));
    push(&engine, life("net"));
    engine
}

/// A call that is in the state of a module, until it is released.
pub fn hold(engine: &Engine, module: &str) -> (JoinHandle<Result<(), CallError>>, Arc<Latch>) {
    let (handle, latch) =
        (engine.module::<dyn Life>(module).expect("it was declared"), Arc::new(Latch::default()));
    let call = thread::spawn({
        let latch = latch.clone();
        move || handle.call(|life| life.hold(&latch))
    });
    wait_until("the call is inside", || latch.is_entered());
    (call, latch)
}
