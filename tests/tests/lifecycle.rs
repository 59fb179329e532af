//! Modules that require others: registered, initialized, started, stopped, each in its turn.

use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use fixture_api::Game;
use fixture_api::life::Life;
use liveswap::LifecyclePhase::{Initialized, Registered, Started, Stopped};
use liveswap::{BuildError, CallError, Engine, LifecycleError, PushOutcome, Registration};
use liveswap_tests::demo::{Process, Signal, program};
use liveswap_tests::life::{
    Scene, by_hand, chain, diary, hold, http, life, net, net_api, phases, push, put, refused, serving,
};
use liveswap_tests::{Fixture, wait_until};

#[test]
fn p4_01_a_module_goes_from_registered_to_stopped_and_out_of_order_is_an_error() {
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let _scene = Scene::begin();
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
    let _scene = Scene::begin();
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
    let _scene = Scene::begin();
    let engine = Engine::builder().register(net()).register(net_over_http()).build().unwrap();
    let error = refused(&engine, "missing-dependencies", life("net")).to_string();
    assert!(error.contains("requires `chain`, `http`"), "{error}");
}

#[test]
fn p4_02_what_a_module_requires_twice_it_requires_once() {
    let _scene = Scene::begin();
    let registration = Registration::of::<dyn Life>("net").requires(chain).requires(http).requires(chain);
    let engine = Engine::builder().register(registration).build().unwrap();
    let error = refused(&engine, "missing-dependencies", life("net")).to_string();
    assert!(error.contains("requires `chain`, `http`, found"), "{error}");
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
