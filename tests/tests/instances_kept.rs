//! Declared instances: over a restart, by hand, and from a watched folder.

use std::fmt::Display;
use std::fs;

use fixture_api::trial::Trial;
use liveswap::{Builder, LifecyclePhase, PushOutcome, Registration};
use liveswap_tests::rooms::{FACTORY, Rooms, instance, trial};
use liveswap_tests::{Fixture, Patched, comes_true};

fn lobby() -> Registration {
    Registration::of::<dyn Trial>("lobby").instance_of(FACTORY)
}

/// Requires its sibling, and comes after it.
fn hall() -> Registration {
    Registration::of::<dyn Trial>("hall").instance_of(FACTORY).requires(lobby)
}

fn with_both(builder: Builder) -> Builder {
    builder.register(hall())
}

/// The bytes of a candidate of the factory.
fn content(version: &str) -> Vec<u8> {
    Patched::of(Fixture::trial(version).build()).module(FACTORY).bytes().to_vec()
}

/// Does what the watcher may be in the way of: it notices files in its own time.
fn unless_busy<T, E: Display>(work: impl Fn() -> Result<T, E>, code: impl Fn(&E) -> &'static str) {
    let is_done = || match work() {
        Ok(_) => true,
        Err(error) if code(&error) == "busy" => false,
        Err(error) => panic!("{error}"),
    };
    assert!(comes_true(is_done));
}

#[test]
fn declared_instances_are_there_again_with_their_states_and_what_had_taken_over() {
    let host =
        Rooms::of::<dyn Trial>(|builder, folder| with_both(builder).snapshots(folder.join("snapshots")));
    host.push_all(trial("1001"));
    host.push_all(trial("1002"));
    host.engine.rollback(FACTORY).unwrap();
    host.trial("lobby").call(|room| room.count()).unwrap();
    host.create(instance("cellar"));
    host.trial("cellar").call(|room| room.count()).unwrap();
    let folder = host.end();

    let again = Rooms::within::<dyn Trial>(folder, |builder, folder| {
        with_both(builder).snapshots(folder.join("snapshots"))
    });
    // It waits for what the control thread begins with.
    again.engine.rescan();
    let counted = |name| again.trial(name).call(|room| room.counted()).unwrap();
    assert_eq!(again.versions(["lobby", "hall"]), ["1001", "1001"]);
    assert_eq!([counted("lobby"), counted("hall")], [1, 0]);
    // What is created again begins with its own snapshot.
    again.create(instance("cellar"));
    assert_eq!(counted("cellar"), 1);
    // What is destroyed begins anew.
    again.destroy("cellar");
    again.create(instance("cellar"));
    assert_eq!(counted("cellar"), 0);
}

#[test]
fn by_hand_a_candidate_waits_and_what_is_created_is_started_at_once() {
    let host = Rooms::of::<dyn Trial>(|builder, _| with_both(builder).start_by_hand());
    assert!(matches!(host.push(trial("1001")), PushOutcome::Waiting { module, .. } if module == FACTORY));
    assert_eq!(host.status("lobby").lifecycle, LifecyclePhase::Registered);
    host.create(instance("cellar"));
    assert_eq!(host.status("cellar").lifecycle, LifecyclePhase::Started);
    host.engine.initialize_modules().unwrap();
    assert_eq!(host.versions(["lobby", "hall", "cellar"]), ["1001", "1001", "1001"]);
    assert_eq!(host.status("hall").lifecycle, LifecyclePhase::Initialized);
    host.engine.start_modules().unwrap();
    host.push_all(trial("1002"));
    assert_eq!(host.versions(["lobby", "hall", "cellar"]), ["1002", "1002", "1002"]);
    // One that was stopped keeps what it had, and is in nobody's way.
    host.engine.stop_module("hall").unwrap();
    host.push_all(trial("1003"));
    assert_eq!(host.versions(["lobby", "cellar"]), ["1003", "1003"]);
    assert_eq!(host.status("hall").active.unwrap().version.to_string(), "1002");
    host.destroy("hall");
    host.destroy("lobby");
}

#[test]
fn a_folder_offers_a_candidate_to_all_instances_once() {
    let folder = tempfile::tempdir().unwrap();
    let watched = folder.path().canonicalize().unwrap().join("modules");
    fs::create_dir_all(&watched).unwrap();
    fs::write(watched.join("room.v1001.so"), content("1001")).unwrap();
    let host = Rooms::of::<dyn Trial>(|builder, _| {
        with_both(builder).watch(&watched).audit_log(folder.path().join("audit.log"))
    });
    assert!(host.engine.rescan().is_empty());
    assert_eq!(host.versions(["lobby", "hall"]), ["1001", "1001"]);
    fs::write(folder.path().join("new"), content("1002")).unwrap();
    fs::rename(folder.path().join("new"), watched.join("room.v1002.so")).unwrap();
    assert!(host.engine.rescan().is_empty());
    assert_eq!(host.versions(["lobby", "hall"]), ["1002", "1002"]);
    // What was rolled back doesn't come back by itself.
    unless_busy(|| host.engine.rollback(FACTORY), |error| error.code());
    host.engine.rescan();
    assert_eq!(host.versions(["lobby", "hall"]), ["1001", "1001"]);
    unless_busy(|| host.engine.create(instance("cellar")), |error| error.code());
    unless_busy(|| host.engine.destroy("cellar"), |error| error.code());
    drop(host);
    let log = fs::read_to_string(folder.path().join("audit.log")).unwrap();
    let lines = |action: &str, outcome: &str| {
        let (action, outcome) = (format!("\"action\":\"{action}\""), format!("\"outcome\":\"{outcome}\""));
        log.lines().filter(|line| line.contains(&action) && line.contains(&outcome)).count()
    };
    assert_eq!([lines("push", "published"), lines("rollback", "rolled-back")], [2, 2], "{log}");
    assert_eq!([lines("create", "created"), lines("destroy", "destroyed")], [1, 1], "{log}");
}
