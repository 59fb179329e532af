//! Modules that require others: registered, initialized, started, stopped, each in its turn.
//!
//! The tests of this file take turns, because they look at the process's one log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fixture_api::life::Life;
use fixture_api::{Game, Latch};
use liveswap::{
    BuildError, Builder, CallError, Engine, LifecycleError, LifecyclePhase, PushError, PushOutcome,
    Registration,
};
use liveswap_tests::demo::{Process, Signal, program};
use liveswap_tests::log::{Log, Record};
use liveswap_tests::{Fixture, outcome, wait_until};
use tempfile::TempDir;

fn chain() -> Registration {
    Registration::of::<dyn Life>("chain")
}

fn http() -> Registration {
    Registration::of::<dyn Life>("http")
}

fn net() -> Registration {
    Registration::of::<dyn Life>("net").requires(chain)
}

fn net_api() -> Registration {
    Registration::of::<dyn Life>("net_api").requires(net).requires(http)
}

/// A test's turn, its folder, and the log since it began.
struct Scene {
    folder: TempDir,
    began: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed has left the log as it is.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Log::of_this_process().records().len();
        Self { folder: tempfile::tempdir().unwrap(), began, _turn: turn }
    }

    /// A folder that is watched. Another may be made by its name.
    fn modules(&self) -> PathBuf {
        let folder = self.folder.path().canonicalize().unwrap().join("modules");
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn records(&self) -> Vec<Record> {
        Log::of_this_process().records().split_off(self.began)
    }

    /// What logic has told of its hooks, `module hook` each.
    fn told(&self) -> Vec<String> {
        let records = self.records().into_iter().filter(|record| record.target == "fixture_life");
        records.map(|record| record.text("message").to_owned()).collect()
    }

    /// The same of hooks of a module's life alone.
    fn lived(&self) -> Vec<String> {
        let is_of_life = |told: &String| {
            ["initialize", "start", "stop"].iter().any(|hook| told.ends_with(&format!(" {hook}")))
        };
        self.told().into_iter().filter(is_of_life).collect()
    }

    /// What the engine's log says of a module.
    fn said(&self, module: &str, message: &str) -> bool {
        let is_it =
            |record: &Record| record.text("module") == module && record.text("message").contains(message);
        self.records().iter().any(is_it)
    }
}

fn put(candidate: &Path, folder: &Path) {
    let fresh = folder.join("fresh");
    fs::copy(candidate, &fresh).unwrap();
    fs::rename(fresh, folder.join(candidate.file_name().unwrap())).unwrap();
}

fn life(module: &'static str) -> PathBuf {
    Fixture::life(module, "1").build()
}

#[track_caller]
fn push(engine: &Engine, candidate: impl AsRef<Path>) {
    outcome::published(engine.push(candidate.as_ref()));
}

#[track_caller]
fn refused(engine: &Engine, code: &str, candidate: impl AsRef<Path>) -> PushError {
    outcome::refused(code, engine.push(candidate.as_ref()))
}

/// Each module's phase.
fn phases(engine: &Engine) -> BTreeMap<String, LifecyclePhase> {
    engine.status().modules.into_iter().map(|module| (module.name, module.lifecycle)).collect()
}

fn diary(engine: &Engine, module: &str) -> Result<Vec<String>, CallError> {
    engine.module::<dyn Life>(module).unwrap().call(|life| life.diary())
}

fn by_hand(registration: Registration) -> Engine {
    Engine::builder().register(registration).start_by_hand().build().unwrap()
}

/// An engine for `net`, which serves both modules.
fn serving(change: impl FnOnce(Builder) -> Builder) -> Engine {
    let engine = change(Engine::builder().register(net())).build().unwrap();
    push(&engine, life("chain"));
    push(&engine, life("net"));
    engine
}

/// A call that is in the state of a module, until it is released.
fn hold(engine: &Engine, module: &str) -> (JoinHandle<Result<(), CallError>>, Arc<Latch>) {
    let (handle, latch) = (engine.module::<dyn Life>(module).unwrap(), Arc::new(Latch::default()));
    let call = thread::spawn({
        let latch = latch.clone();
        move || handle.call(|life| life.hold(&latch))
    });
    wait_until("the call is inside", || latch.is_entered());
    (call, latch)
}

use LifecyclePhase::{Initialized, Registered, Started, Stopped};

#[test]
fn p4_01_a_module_goes_from_registered_to_stopped_and_out_of_order_is_an_error() {
    let scene = Scene::new();
    let engine = by_hand(chain());
    let out_of_order = |outcome: Result<(), LifecycleError>, found, expected| match outcome {
        Err(LifecycleError::OutOfOrder { module, found: was, expected: needed }) => {
            assert_eq!((module.as_str(), was, needed), ("chain", found, expected));
        }
        other => panic!("expected {expected}, got {other:?}"),
    };
    assert_eq!(engine.lifecycle("chain").unwrap(), Registered);
    out_of_order(engine.start_module("chain"), Registered, Initialized);
    out_of_order(engine.stop_module("chain"), Registered, Started);
    let outcome = engine.initialize_module("chain");
    assert!(matches!(outcome, Err(LifecycleError::NoVersion { .. })), "{outcome:?}");

    let outcome = engine.push(life("chain")).unwrap();
    assert!(matches!(&outcome, PushOutcome::Waiting { module, .. } if module == "chain"), "{outcome:?}");
    assert_eq!((engine.lifecycle("chain").unwrap(), scene.told()), (Registered, vec![]));
    assert!(matches!(diary(&engine, "chain"), Err(CallError::NoActiveVersion { .. })));

    engine.initialize_module("chain").unwrap();
    assert_eq!(engine.lifecycle("chain").unwrap(), Initialized);
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize"]);
    out_of_order(engine.stop_module("chain"), Initialized, Started);

    engine.start_module("chain").unwrap();
    assert_eq!(engine.lifecycle("chain").unwrap(), Started);
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize", "start"]);
    out_of_order(engine.initialize_module("chain"), Started, Registered);

    engine.stop_module("chain").unwrap();
    assert_eq!(engine.lifecycle("chain").unwrap(), Stopped);
    assert!(matches!(diary(&engine, "chain"), Err(CallError::NoActiveVersion { .. })));
    out_of_order(engine.start_module("chain"), Stopped, Initialized);
    out_of_order(engine.initialize_module("chain"), Stopped, Registered);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop"]);
}

#[test]
fn p4_01_asking_for_the_phase_that_a_module_is_in_does_nothing() {
    let scene = Scene::new();
    let engine = by_hand(chain());
    engine.push(life("chain")).unwrap();
    for _ in 0..2 {
        engine.initialize_module("chain").unwrap();
    }
    for _ in 0..2 {
        engine.start_module("chain").unwrap();
    }
    for _ in 0..2 {
        engine.stop_module("chain").unwrap();
    }
    drop(engine);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop"]);
}

#[test]
fn p4_01_a_stopped_module_gets_no_other_version() {
    let _scene = Scene::new();
    let engine = serving(|builder| builder);
    push(&engine, Fixture::life("net", "2").build());
    engine.stop_module("net").unwrap();
    let error = refused(&engine, "out-of-order", Fixture::life("net", "3").build());
    let expected =
        "module `net` is stopped, expected started: a module that was stopped stays so, start the host again";
    assert_eq!(error.to_string(), expected);
    assert_eq!(engine.rollback("net").unwrap_err().code(), "out-of-order");
    assert!(matches!(diary(&engine, "net"), Err(CallError::NoActiveVersion { .. })));
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize", "start"], "what it requires serves on");
}

#[test]
fn p4_02_registering_is_idempotent_by_name_and_pulls_in_dependencies() {
    let _scene = Scene::new();
    let builder = Engine::builder().register(net_api()).register(net()).register(chain()).register(net_api());
    let engine = builder.build().unwrap();
    let names: Vec<_> = engine.status().modules.into_iter().map(|module| module.name).collect();
    assert_eq!(names, ["net_api", "net", "chain", "http"]);
    assert!(phases(&engine).values().all(|phase| *phase == Registered));
}

#[test]
fn p4_02_what_else_a_module_requires_is_added() {
    fn net_over_http() -> Registration {
        Registration::of::<dyn Life>("net").requires(http)
    }
    let _scene = Scene::new();
    let engine = Engine::builder().register(net()).register(net_over_http()).build().unwrap();
    let error = refused(&engine, "missing-dependencies", life("net")).to_string();
    assert!(error.contains("requires `chain`, `http`"), "{error}");
}

#[test]
fn p4_02_one_name_with_two_interfaces_is_refused() {
    let other = Registration::of::<dyn Game>("chain");
    match Engine::builder().register(net()).register(other).build() {
        Err(BuildError::OtherInterface { name, found, expected }) => {
            assert_eq!((name.as_str(), found, expected), ("chain", "Game", "Life"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn p4_02_a_cycle_is_refused_and_names_its_members() {
    fn one() -> Registration {
        Registration::of::<dyn Life>("one").requires(two)
    }
    fn two() -> Registration {
        Registration::of::<dyn Life>("two").requires(chain).requires(three)
    }
    fn three() -> Registration {
        Registration::of::<dyn Life>("three").requires(one)
    }
    fn alone() -> Registration {
        Registration::of::<dyn Life>("alone").requires(alone)
    }
    let members = |registration| match Engine::builder().register(registration).build() {
        Err(error @ BuildError::Cycle { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let error = members(one());
    assert!(error.contains(": one -> two -> three -> one:"), "{error}");
    let error = members(alone());
    assert!(error.contains(": alone -> alone:"), "{error}");
}

/// All four in a folder, whose names say nothing of their order.
fn four(scene: &Scene) -> PathBuf {
    let folder = scene.modules();
    for module in ["net_api", "net", "http", "chain"] {
        put(&life(module), &folder);
    }
    folder
}

#[test]
fn p4_03_dependencies_come_first_each_once_and_the_end_is_the_reverse() {
    let scene = Scene::new();
    let engine = Engine::builder().register(net_api()).watch(four(&scene)).build().unwrap();
    assert!(phases(&engine).values().all(|phase| *phase == Started), "{:?}", phases(&engine));
    let up = scene.lived();
    let (initialized, started) = up.split_at(4);
    assert_eq!(initialized, ["chain initialize", "net initialize", "http initialize", "net_api initialize"]);
    assert_eq!(started, ["chain start", "net start", "http start", "net_api start"]);
    drop(engine);
    assert_eq!(scene.lived()[8..], ["net_api stop", "http stop", "net stop", "chain stop"]);
}

#[test]
fn p4_03_by_hand_the_order_is_the_same_and_one_brings_what_it_requires() {
    let scene = Scene::new();
    let builder = Engine::builder().register(net_api()).start_by_hand();
    let engine = builder.watch(four(&scene)).build().unwrap();
    assert_eq!(scene.told(), [""; 0]);
    engine.initialize_module("net").unwrap();
    assert_eq!(scene.lived(), ["chain initialize", "net initialize"]);
    engine.start_module("net").unwrap();
    engine.initialize_modules().unwrap();
    engine.start_modules().unwrap();
    let rest = ["http initialize", "net_api initialize", "http start", "net_api start"];
    assert_eq!(scene.lived()[2..], [["chain start", "net start"].as_slice(), &rest].concat());
    engine.stop_module("chain").unwrap();
    assert_eq!(scene.lived()[8..], ["net_api stop", "net stop", "chain stop"]);
    assert_eq!(phases(&engine)["http"], Started);
}

#[test]
fn p4_03_only_what_has_started_is_stopped() {
    let scene = Scene::new();
    let engine = by_hand(net());
    for module in ["chain", "net"] {
        engine.push(life(module)).unwrap();
    }
    engine.initialize_modules().unwrap();
    engine.start_module("chain").unwrap();
    engine.stop_modules().unwrap();
    assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Stopped, Initialized));
    let error = engine.start_modules().unwrap_err();
    assert_eq!(error.code(), "out-of-order", "{error}");
    drop(engine);
    assert_eq!(scene.lived(), ["chain initialize", "net initialize", "chain start", "chain stop"]);
}

#[test]
fn p4_04_a_module_that_fails_to_initialize_stays_registered_and_what_had_started_is_stopped() {
    let scene = Scene::new();
    let engine = Engine::builder().register(net()).build().unwrap();
    push(&engine, life("chain"));
    for (feature, code, reason) in [
        ("initialize-fails", "lifecycle-failed", "module `net` failed in `initialize`: the disk is full"),
        ("initialize-panics", "lifecycle-panicked", "the disk is on fire"),
    ] {
        let error = refused(&engine, code, Fixture::life("net", "1").feature(feature).build()).to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Started, Registered));
        let status = engine.status().modules.into_iter().find(|module| module.name == "net").unwrap();
        assert_eq!((status.active.is_none(), status.lifecycle_failure), (true, Some(error)));
    }
    drop(engine);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop"]);
}

#[test]
fn p4_04_a_module_that_has_failed_to_initialize_may_be_mended() {
    let _scene = Scene::new();
    let engine = by_hand(net());
    engine.push(life("chain")).unwrap();
    engine.push(Fixture::life("net", "1").feature("initialize-fails").build()).unwrap();
    let error = engine.initialize_modules().unwrap_err();
    assert_eq!(error.to_string(), "module `net` failed in `initialize`: the disk is full");
    assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Initialized, Registered));
    engine.push(Fixture::life("net", "2").build()).unwrap();
    engine.initialize_modules().unwrap();
    assert_eq!(diary(&engine, "net").unwrap(), ["initialize"], "the state is a new one");
}

#[test]
fn p4_04_if_starting_fails_what_had_started_since_is_stopped_in_reverse() {
    let scene = Scene::new();
    let engine = by_hand(net_api());
    for module in ["chain", "net", "http"] {
        engine.push(life(module)).unwrap();
    }
    engine.push(Fixture::life("net_api", "1").feature("start-fails").build()).unwrap();
    engine.initialize_modules().unwrap();
    engine.start_module("chain").unwrap();
    let error = engine.start_modules().unwrap_err();
    assert_eq!(error.to_string(), "module `net_api` failed in `start`: the port is taken");
    assert_eq!(scene.lived()[4..], ["chain start", "net start", "http start", "http stop", "net stop"]);
    let expected = [("chain", Started), ("http", Stopped), ("net", Stopped), ("net_api", Initialized)];
    assert_eq!(phases(&engine), expected.map(|(name, phase)| (name.to_owned(), phase)).into());
    assert_eq!(diary(&engine, "net_api").unwrap(), ["initialize"], "it serves on");
}

#[test]
fn p4_04_by_itself_a_module_that_fails_to_start_is_asked_again_with_its_next_version() {
    let scene = Scene::new();
    let engine = Engine::builder().register(net()).build().unwrap();
    push(&engine, Fixture::life("chain", "1").feature("start-fails").build());
    push(&engine, life("net"));
    assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Initialized, Initialized));
    push(&engine, Fixture::life("chain", "2").build());
    assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Started, Started));
    assert_eq!(scene.lived(), ["chain initialize", "net initialize", "chain start", "net start"]);
}

#[test]
fn p4_04_one_failing_stop_does_not_keep_the_rest_from_stopping() {
    let scene = Scene::new();
    let engine = by_hand(net());
    engine.push(life("chain")).unwrap();
    engine.push(Fixture::life("net", "1").feature("stop-panics").build()).unwrap();
    engine.initialize_modules().unwrap();
    engine.start_modules().unwrap();
    let error = engine.stop_modules().unwrap_err();
    assert!(
        matches!(&error, LifecycleError::Panicked { module, hook: "stop", .. } if module == "net"),
        "{error:?}"
    );
    assert_eq!(phases(&engine).values().collect::<Vec<_>>(), [&Stopped; 2]);
    assert_eq!(scene.lived().last().unwrap(), "chain stop");
    let status = engine.status().modules.into_iter().find(|module| module.name == "net").unwrap();
    let suspect = status.suspect.expect("its state may be half changed");
    assert_eq!((suspect.method.as_str(), suspect.message.as_str()), ("stop", "the plug is stuck"));
}

#[test]
fn p4_04_a_call_that_stays_inside_keeps_only_its_own_module_from_its_hook() {
    let scene = Scene::new();
    let engine = serving(|builder| builder.drain_deadline(Duration::from_millis(50)));
    let (call, latch) = hold(&engine, "net");
    let error = engine.stop_modules().unwrap_err();
    assert!(
        matches!(&error, LifecycleError::Occupied { module, hook: "stop", .. } if module == "net"),
        "{error:?}"
    );
    assert_eq!(phases(&engine).values().collect::<Vec<_>>(), [&Stopped; 2]);
    assert_eq!(scene.lived()[4..], ["chain stop"]);
    latch.release();
    call.join().unwrap().unwrap();
}

#[test]
fn p4_05_an_unknown_name_is_told_in_the_words_of_old() {
    let engine = Engine::builder().register(net()).build().unwrap();
    let expected = "unable to find plugin: X";
    for outcome in [engine.initialize_module("X"), engine.start_module("X"), engine.stop_module("X")] {
        assert_eq!(outcome.unwrap_err().to_string(), expected);
    }
    assert_eq!(engine.lifecycle("X").unwrap_err().to_string(), expected);
    assert_eq!(engine.module::<dyn Life>("X").unwrap_err().to_string(), expected);
}

#[test]
fn p0_02_the_engine_drives_the_hooks_in_their_order_and_the_log_shows_it() {
    let scene = Scene::new();
    let engine = Engine::builder().register(chain()).build().unwrap();
    push(&engine, life("chain"));
    let handle = engine.module::<dyn Life>("chain").unwrap();
    handle.call(|life| life.note("called".to_owned())).unwrap();
    drop(engine);
    let hooks = ["create", "initialize", "start", "called", "stop", "teardown"];
    assert_eq!(scene.told(), hooks.map(|hook| format!("chain {hook}")));
    // And the engine's own words, each after the hook that it is about.
    let records = scene.records();
    let of_chain = records.iter().filter(|record| record.text("module") == "chain");
    let said: Vec<_> = of_chain.map(|record| record.text("message")).collect();
    let place = |message: &str| said.iter().position(|said| *said == message).expect(message);
    let order = ["chain initialize", "initialized", "chain start", "started", "chain stop", "stopped"];
    assert!(order.map(place).is_sorted(), "{said:?}");
}

#[test]
fn a_module_is_closed_and_its_last_call_has_left_before_it_is_stopped() {
    let scene = Scene::new();
    let engine = serving(|builder| builder.drain_deadline(Duration::from_secs(60)));
    let (call, latch) = hold(&engine, "net");
    thread::scope(|scope| {
        let stopping = scope.spawn(|| engine.stop_module("net"));
        let net = engine.module::<dyn Life>("net").unwrap();
        let is_closed = || matches!(net.call(|life| life.version()), Err(CallError::NoActiveVersion { .. }));
        wait_until("it's closed", is_closed);
        assert!(!stopping.is_finished());
        latch.release();
        stopping.join().unwrap().unwrap();
    });
    call.join().unwrap().unwrap();
    let told: Vec<_> = scene.told().into_iter().filter(|told| told.starts_with("net ")).collect();
    assert_eq!(told[told.len() - 2..], ["net held", "net stop"]);
}

#[test]
fn a_swap_changes_nothing_of_a_modules_life_and_both_versions_hear_of_it() {
    let scene = Scene::new();
    let engine = serving(|builder| builder);
    let before = scene.told().len();
    push(&engine, Fixture::life("net", "2").build());
    wait_until("both have heard", || scene.told().len() == before + 2);
    assert_eq!(scene.told()[before..], ["net yielded", "net took over"]);
    assert_eq!(diary(&engine, "net").unwrap(), ["initialize", "start"], "the state is the same");
    drop(engine);
    assert_eq!(scene.lived()[4..], ["net stop", "chain stop"]);
}

#[test]
fn a_version_that_comes_before_what_it_requires_is_refused_and_taken_later_by_itself() {
    let scene = Scene::new();
    let folder = scene.modules();
    put(&life("net"), &folder);
    let engine = Engine::builder().register(net()).watch(&folder).build().unwrap();
    assert_eq!(phases(&engine)["net"], Registered);
    let status = engine.status().modules.into_iter().find(|module| module.name == "net").unwrap();
    assert!(status.lifecycle_failure.is_some_and(|failure| failure.contains("requires `chain`")));
    let error = refused(&engine, "missing-dependencies", life("net"));
    let expected = "module `net` requires `chain`, found no version that is initialized: push those first";
    assert_eq!(error.to_string(), expected);
    // The file still lies there, and nobody touches it.
    push(&engine, life("chain"));
    wait_until("`net` has started", || phases(&engine)["net"] == Started);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "net initialize", "net start"]);
}

#[test]
fn of_what_waits_to_be_initialized_the_newest_is_taken() {
    let scene = Scene::new();
    let folder = scene.modules();
    for version in ["1", "3", "2"] {
        put(&Fixture::life("chain", version).build(), &folder);
    }
    let engine = Engine::builder().register(chain()).start_by_hand().watch(&folder).build().unwrap();
    engine.rescan();
    engine.initialize_modules().unwrap();
    let handle = engine.module::<dyn Life>("chain").unwrap();
    assert_eq!(handle.call(|life| life.version()).unwrap(), "3");
    assert_eq!(scene.lived(), ["chain initialize"]);
}

#[test]
fn a_start_that_comes_too_late_is_stopped_again() {
    let scene = Scene::new();
    let builder = Engine::builder().register(chain()).hook_deadline(Duration::from_secs(2));
    let engine = builder.start_by_hand().build().unwrap();
    engine.push(Fixture::life("chain", "1").feature("start-hangs").build()).unwrap();
    engine.initialize_modules().unwrap();
    assert_eq!(engine.start_modules().unwrap_err().code(), "hook-hung");
    assert_eq!(engine.lifecycle("chain").unwrap(), Initialized);
    engine.module::<dyn Life>("chain").unwrap().call(|life| life.release()).unwrap();
    wait_until("it's stopped", || scene.lived().len() == 3);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop"]);
    // The state has been given back.
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize", "start", "stop"]);
    engine.start_modules().unwrap();
    assert_eq!(engine.lifecycle("chain").unwrap(), Started);
}

/// The hook never returns: the module is closed, so nobody can tell it to. Its thread ends with the process.
#[test]
fn a_stop_that_hangs_has_the_state_alone_and_no_snapshot_sees_it() {
    let _scene = Scene::new();
    let (kept, short) = (tempfile::tempdir().unwrap(), Duration::from_millis(200));
    let builder = Engine::builder().register(chain()).hook_deadline(Duration::from_secs(2));
    let builder = builder.drain_deadline(short).hand_over_deadline(short).snapshots(kept.path());
    let engine = builder.build().unwrap();
    push(&engine, Fixture::life("chain", "1").feature("stop-hangs").build());
    assert_eq!(engine.stop_module("chain").unwrap_err().code(), "hook-hung");
    assert_eq!(engine.snapshot("chain").unwrap_err().code(), "pause-missed");
    assert_eq!(engine.status().modules[0].snapshots.as_ref().unwrap().taken, 0);
}

#[test]
fn the_status_shows_the_phase_and_the_log_why_it_is_not_further() {
    let scene = Scene::new();
    let engine = Engine::builder().register(chain()).build().unwrap();
    push(&engine, Fixture::life("chain", "1").feature("start-fails").build());
    let status = serde_json::to_value(engine.status()).unwrap();
    assert_eq!(status["modules"][0]["lifecycle"], "initialized");
    let failure = "module `chain` failed in `start`: the port is taken";
    assert_eq!(status["modules"][0]["lifecycle_failure"], failure);
    assert!(scene.said("chain", "not started: module `chain` failed"));
}

#[test]
fn p4_06_sigint_and_sigterm_end_the_example_in_good_order() {
    let folder = tempfile::tempdir().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for (package, module) in [("chain-net-chain", "chain"), ("chain-net-net", "net")] {
        put(&Fixture::package(package, version).module(module).build(), folder.path());
    }
    let server = program("chain-net-server", "chain-net-server");
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = Command::new(&server);
        command.arg(folder.path());
        let mut process = Process::start(command);
        let up = [
            "initialize chain plugin",
            "initialize net plugin",
            "starting chain plugin",
            "starting net plugin",
        ];
        assert_eq!(up.map(|_| process.line()), up, "{}", process.log());
        process.signal(signal);
        assert_eq!(process.rest_of_output(), "shutdown net plugin\nshutdown chain plugin\nexited cleanly\n");
        assert!(process.wait().success());
        assert_eq!(process.log(), "", "and not a word beside");
    }
}
