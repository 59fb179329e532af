//! Modules that fail to be initialized, started or stopped, and what becomes of the others.

use std::fs;
use std::thread;
use std::time::Duration;

use fixture_api::life::Life;
use liveswap::LifecyclePhase::{Initialized, Registered, Started, Stopped};
use liveswap::error::NoResult;
use liveswap::{CallError, Engine, LifecycleError, SuspectPolicy};
use liveswap_tests::life::{
    Scene, by_hand, chain, diary, hold, http, life, net, net_api, phases, push, put, refused, serving,
};
use liveswap_tests::{Fixture, wait_until};

#[test]
fn p4_04_a_module_that_fails_to_initialize_stays_registered_and_what_had_started_is_stopped() {
    let scene = Scene::begin();
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
    let _scene = Scene::begin();
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
fn p4_04_a_first_version_that_has_failed_by_hand_waits_on() {
    let _scene = Scene::begin();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().canonicalize().unwrap().join("config.toml");
    fs::write(
        &file,
        "[modules.chain]
is_full = true",
    )
    .unwrap();
    let engine = Engine::builder().register(chain()).start_by_hand().config(&file).build().unwrap();
    engine.push(life("chain")).unwrap();
    let error = engine.initialize_module("chain").unwrap_err().to_string();
    assert_eq!(error, "module `chain` failed in `initialize`: the disk is full");
    fs::write(&file, "").unwrap();
    engine.reload_config().unwrap();
    engine.initialize_module("chain").unwrap();
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize"], "the state is a new one");
}

#[test]
fn p4_04_a_file_that_is_mended_takes_the_place_of_one_that_has_failed() {
    let scene = Scene::begin();
    let folder = scene.modules();
    put(&Fixture::life("chain", "1").feature("initialize-fails").build(), &folder);
    let engine = Engine::builder().register(chain()).start_by_hand().watch(&folder).build().unwrap();
    assert_eq!(engine.initialize_modules().unwrap_err().code(), "lifecycle-failed");
    put(&life("chain"), &folder);
    engine.rescan();
    engine.initialize_modules().unwrap();
    assert_eq!(engine.lifecycle("chain").unwrap(), Initialized);
}

#[test]
fn a_module_whose_dependency_was_stopped_is_told_so() {
    let _scene = Scene::begin();
    let engine = Engine::builder().register(net()).build().unwrap();
    push(&engine, life("chain"));
    engine.stop_module("chain").unwrap();
    let error = refused(&engine, "dependency-stopped", life("net")).to_string();
    assert_eq!(error, "module `net` requires `chain`, which was stopped and stays so: start the host again");
}

#[test]
fn p4_04_if_starting_fails_what_had_started_since_is_stopped_in_reverse() {
    let scene = Scene::begin();
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
    let expected =
        [("chain", Started), ("http", Initialized), ("net", Initialized), ("net_api", Initialized)];
    assert_eq!(phases(&engine), expected.map(|(name, phase)| (name.to_owned(), phase)).into());
    assert_eq!(diary(&engine, "net_api").unwrap(), ["initialize"], "it serves on");
}

#[test]
fn p4_04_by_itself_a_module_that_fails_to_start_is_asked_again_with_its_next_version() {
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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
    let scene = Scene::begin();
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

/// A module whose `start` hangs, and has missed its deadline.
fn late() -> Engine {
    let builder = Engine::builder().register(chain()).hook_deadline(Duration::from_secs(2));
    let engine = builder.start_by_hand().build().unwrap();
    engine.push(Fixture::life("chain", "1").feature("start-hangs").build()).unwrap();
    engine.initialize_modules().unwrap();
    assert_eq!(engine.start_modules().unwrap_err().code(), "hook-hung");
    engine
}

#[test]
fn a_start_that_comes_too_late_is_stopped_again_and_until_then_there_is_no_other() {
    let scene = Scene::begin();
    let engine = late();
    assert_eq!(engine.lifecycle("chain").unwrap(), Initialized);
    let error = engine.start_modules().unwrap_err();
    assert_eq!(error.code(), "still-starting");
    let expected = "`start` of module `chain` has missed its deadline in version 1 and hasn't returned yet; if it succeeds, \
                    it's stopped again at once: start it again after that (see the status)";
    assert_eq!(error.to_string(), expected);
    engine.module::<dyn Life>("chain").unwrap().call(|life| life.release()).unwrap();
    // It has to wait for the state.
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize", "start", "stop"]);
    wait_until("it starts again", || match engine.start_modules() {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), "still-starting");
            false
        }
    });
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop", "chain start"]);
}

#[test]
fn another_version_is_started_by_itself_once_a_start_that_came_too_late_was_stopped() {
    let scene = Scene::begin();
    let builder = Engine::builder().register(chain()).hook_deadline(Duration::from_secs(2));
    let engine = builder.build().unwrap();
    push(&engine, Fixture::life("chain", "1").feature("start-hangs").build());
    let handle = engine.module::<dyn Life>("chain").unwrap();
    let first = handle.enter().unwrap();
    push(&engine, Fixture::life("chain", "2").build());
    assert_eq!(engine.lifecycle("chain").unwrap(), Initialized);
    // On the version whose `start` it is.
    first.release().unwrap();
    wait_until("it has started", || engine.lifecycle("chain").unwrap() == Started);
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop", "chain start"]);
}

#[test]
fn a_start_that_comes_too_late_for_the_engine_is_stopped_all_the_same() {
    let scene = Scene::begin();
    let engine = late();
    let handle = engine.module::<dyn Life>("chain").unwrap();
    let inside = handle.enter().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || drop(engine));
        // Whoever is inside stays so; another thread isn't let in.
        let is_closed = || scope.spawn(|| handle.enter().is_err()).join().unwrap();
        wait_until("it's closed", is_closed);
        inside.release().unwrap();
        drop(inside);
    });
    assert_eq!(scene.lived(), ["chain initialize", "chain start", "chain stop"]);
}

#[test]
fn p4_04_stops_that_hang_hold_up_the_end_no_longer_than_two_of_them() {
    let _scene = Scene::begin();
    let builder = Engine::builder().register(net()).register(http()).hook_deadline(Duration::from_secs(2));
    let engine = builder.build().unwrap();
    for module in ["chain", "net", "http"] {
        push(&engine, Fixture::life(module, "1").feature("stop-hangs").build());
    }
    let Err(LifecycleError::Several { failures }) = engine.stop_modules() else { panic!("all hang") };
    let deadlines = failures.into_iter().map(|failure| match failure {
        LifecycleError::NoResult { source: NoResult::Hung { deadline_ms, .. }, .. } => deadline_ms,
        other => panic!("{other:?}"),
    });
    assert_eq!(deadlines.collect::<Vec<_>>(), [2_000, 1_000, 500]);
}

#[test]
fn a_state_that_is_suspect_is_not_stopped_if_calls_are_kept_out_of_it() {
    for (policy, is_stopped) in [(SuspectPolicy::Continue, true), (SuspectPolicy::Stop, false)] {
        let scene = Scene::begin();
        let engine = serving(|builder| builder.on_suspect(policy));
        let handle = engine.module::<dyn Life>("net").unwrap();
        assert!(matches!(handle.call(|life| life.trip()), Err(CallError::Panicked { .. })));
        let outcome = engine.stop_modules();
        assert_eq!(scene.lived().contains(&"net stop".to_owned()), is_stopped);
        assert!(scene.lived().contains(&"chain stop".to_owned()));
        assert_eq!(phases(&engine)["net"], Stopped);
        if !is_stopped {
            let error = outcome.unwrap_err();
            let expected = "`stop` of module `net` isn't called: `trip` has panicked and may have left the state half \
                            changed; have it restored or trust it before";
            assert_eq!((error.code(), error.to_string().as_str()), ("suspect", expected));
        }
    }
}

#[test]
fn what_keeps_a_module_from_its_stop_is_named() {
    let _scene = Scene::begin();
    let engine = serving(|builder| builder.drain_deadline(Duration::from_millis(50)));
    let lease = engine.module::<dyn Life>("net").unwrap().lease("session 7").unwrap();
    let error = engine.stop_module("net").unwrap_err().to_string();
    assert_eq!(error, "`stop` of module `net` isn't called: it's leased: session 7");
    drop(lease);
    let handle = engine.module::<dyn Life>("chain").unwrap();
    let inside = handle.enter().unwrap();
    let error = engine.stop_module("chain").unwrap_err().to_string();
    // The kernel keeps the beginning of its name.
    let name = thread::current().name().unwrap()[..15].to_owned();
    assert_eq!(error, format!("`stop` of module `chain` isn't called: calls are still inside: {name}"));
    drop(inside);
}

#[test]
fn p4_04_modules_whose_start_has_failed_can_be_started_again() {
    let scene = Scene::begin();
    let engine = by_hand(net());
    engine.push(life("chain")).unwrap();
    engine.push(Fixture::life("net", "1").feature("start-fails-once").build()).unwrap();
    engine.initialize_modules().unwrap();
    assert_eq!(engine.start_modules().unwrap_err().code(), "lifecycle-failed");
    assert_eq!(phases(&engine).values().collect::<Vec<_>>(), [&Initialized; 2]);
    assert_eq!(diary(&engine, "chain").unwrap(), ["initialize", "start", "stop"], "it serves on");
    engine.start_modules().unwrap();
    drop(engine);
    let again = ["chain start", "chain stop", "chain start", "net start", "net stop", "chain stop"];
    assert_eq!(scene.lived()[2..], again);
}

#[test]
fn p4_04_what_fails_to_stop_when_another_fails_to_start_stays_stopped() {
    let _scene = Scene::begin();
    let engine = by_hand(net());
    engine.push(Fixture::life("chain", "1").feature("stop-panics").build()).unwrap();
    engine.push(Fixture::life("net", "1").feature("start-fails").build()).unwrap();
    engine.initialize_modules().unwrap();
    let error = engine.start_modules().unwrap_err().to_string();
    assert_eq!(error, "module `net` failed in `start`: the port is taken");
    assert_eq!((phases(&engine)["chain"], phases(&engine)["net"]), (Stopped, Initialized));
    assert!(matches!(diary(&engine, "chain"), Err(CallError::NoActiveVersion { .. })));
    let expected = "module `chain` is stopped, expected started: a module that was stopped stays so, start the host again";
    assert_eq!(engine.start_modules().unwrap_err().to_string(), expected);
}

/// The hook never returns: the module is closed, so nobody can tell it to. Its thread ends with the process.
#[test]
fn a_stop_that_hangs_has_the_state_alone_and_no_snapshot_sees_it() {
    let _scene = Scene::begin();
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
    let scene = Scene::begin();
    let engine = Engine::builder().register(chain()).build().unwrap();
    push(&engine, Fixture::life("chain", "1").feature("start-fails").build());
    let status = serde_json::to_value(engine.status()).unwrap();
    assert_eq!(status["modules"][0]["lifecycle"], "initialized");
    let failure = "module `chain` failed in `start`: the port is taken";
    assert_eq!(status["modules"][0]["lifecycle_failure"], failure);
    assert!(scene.said("chain", "not started: module `chain` failed"));
}
