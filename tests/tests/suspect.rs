//! Exclusive calls that panic half way: what the next call finds, by each policy.

use std::thread;

use fixture_api::world::Realm;
use liveswap::{CallError, SuspectPolicy};
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, Inside, figures, realm};
use liveswap_tests::{Host, wait_until};

fn host(policy: SuspectPolicy, keeps_snapshots: bool) -> Host {
    let host = Host::of::<dyn Realm>(|builder, folder| {
        let builder = builder.on_suspect(policy);
        if keeps_snapshots { builder.snapshots(folder.join("snapshots")) } else { builder }
    });
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, 100)).unwrap();
    assert_eq!(realm(&host).call(|realm| realm.tick()), Ok(1));
    host
}

/// The call is told of its own panic.
fn panic_half_way(host: &Host) {
    let panicked = realm(host).call(|realm| realm.tick_and_panic()).unwrap_err();
    assert!(
        matches!(&panicked, CallError::Panicked { method, .. } if method == "tick_and_panic"),
        "{panicked}"
    );
}

#[test]
fn by_default_calls_go_on_and_the_status_says_that_the_state_is_suspect() {
    let host = host(SuspectPolicy::default(), false);
    assert!(host.status().suspect.is_none());
    panic_half_way(&host);
    assert_eq!(figures(&host).ticks, 2, "half of what it would have done");
    let suspicion = host.status().suspect.unwrap();
    assert_eq!((suspicion.version.as_str(), suspicion.method.as_str()), ("1001", "tick_and_panic"));
    assert_eq!(suspicion.message, "half way");
    assert!(suspicion.location.contains("lib.rs:"), "{}", suspicion.location);
    host.engine.trust(MODULE).unwrap();
    assert!(host.status().suspect.is_none());
    assert_eq!(host.engine.trust(MODULE).unwrap_err().code(), "nothing-suspect");
}

#[test]
fn a_host_that_wants_it_stops_calls_on_a_suspect_state_until_it_is_trusted() {
    let host = host(SuspectPolicy::Stop, false);
    panic_half_way(&host);
    for refused in [
        realm(&host).call(|realm| realm.look(1)).map(drop).unwrap_err(),
        realm(&host).call(|realm| realm.tick()).map(drop).unwrap_err(),
    ] {
        assert!(matches!(&refused, CallError::Suspect { by, .. } if by == "tick_and_panic"), "{refused}");
    }
    assert_eq!(realm(&host).call(|realm| realm.schema()), Ok(1), "this one doesn't touch it");
    // An upgrade doesn't make it less suspect, but it's possible.
    host.push(world::version(2));
    assert!(realm(&host).call(|realm| realm.look(1)).is_err());
    host.engine.trust(MODULE).unwrap();
    assert_eq!(figures(&host).ticks, 2);
}

#[test]
fn a_host_that_wants_it_has_the_last_snapshot_take_the_place_of_a_suspect_state() {
    let host = host(SuspectPolicy::Restore, true);
    host.engine.snapshot(MODULE).unwrap();
    let kept = figures(&host);
    realm(&host).call(|realm| realm.train(1, 1)).unwrap();
    panic_half_way(&host);
    wait_until("it's restored", || host.status().suspect.is_none());
    assert_eq!(figures(&host), kept);
    // And once more.
    panic_half_way(&host);
    wait_until("it's restored", || host.status().suspect.is_none());
    assert_eq!(figures(&host), kept);
    assert!(host.status().snapshots.unwrap().restored_from.is_some());
}

#[test]
fn without_a_snapshot_there_is_nothing_to_restore_and_calls_stay_out() {
    let host = host(SuspectPolicy::Restore, true);
    panic_half_way(&host);
    let refused = realm(&host).call(|realm| realm.look(1)).unwrap_err();
    assert!(matches!(refused, CallError::Suspect { .. }), "{refused}");
    assert_eq!(host.engine.restore(MODULE).unwrap_err().code(), "no-snapshot");
    host.engine.trust(MODULE).unwrap();
    assert_eq!(figures(&host).ticks, 2);
}

#[test]
fn a_restore_on_demand_takes_back_what_has_happened_since() {
    let host = host(SuspectPolicy::default(), true);
    host.engine.snapshot(MODULE).unwrap();
    let kept = figures(&host);
    realm(&host).call(|realm| realm.fill(100, 50)).unwrap();
    host.engine.restore(MODULE).unwrap();
    assert_eq!(figures(&host), kept);
    // The state is another one now, and the versions work on it.
    host.push(world::version(2));
    assert_eq!(figures(&host), kept);
    host.rollback();
    assert_eq!(figures(&host), kept);
}

#[test]
fn a_state_that_calls_are_kept_out_of_leaves_no_snapshot_at_the_end() {
    let kept = tempfile::tempdir().unwrap();
    for policy in [SuspectPolicy::Stop, SuspectPolicy::Continue] {
        let host = Host::of::<dyn Realm>(|builder, _| builder.on_suspect(policy).snapshots(kept.path()));
        host.push(world::version(1));
        panic_half_way(&host);
        drop(host);
        let is_snapshot = |name: std::ffi::OsString| name.to_string_lossy().ends_with(".snapshot");
        let names = std::fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let expected = if policy == SuspectPolicy::Stop { 0 } else { 1 };
        assert_eq!(names.filter(|name| is_snapshot(name.clone())).count(), expected);
    }
}

/// It has waited for the very call that panics, and would take the place of the last good one.
#[test]
fn a_snapshot_that_waits_for_a_call_that_panics_is_not_taken() {
    let host = host(SuspectPolicy::Restore, true);
    host.engine.snapshot(MODULE).unwrap();
    let kept = figures(&host);
    let inside = Inside::begin(&host, |realm, latch| {
        realm.call(|realm| realm.wait_and_panic(latch)).unwrap_err();
        1
    });
    thread::scope(|scope| {
        let taking = scope.spawn(|| host.engine.snapshot(MODULE));
        wait_until("it's being taken", || host.status().snapshots.unwrap().under_way);
        inside.release();
        wait_until("it's restored", || host.status().suspect.is_none());
        assert_eq!(figures(&host), kept);
        // This one is of the state that was restored, or wasn't taken.
        let _ = taking.join().unwrap();
    });
    host.engine.restore(MODULE).unwrap();
    assert_eq!(figures(&host), kept);
}

#[test]
fn no_snapshot_is_taken_of_a_state_that_calls_are_kept_out_of() {
    let host = host(SuspectPolicy::Stop, true);
    panic_half_way(&host);
    let error = host.engine.snapshot(MODULE).unwrap_err();
    assert_eq!(error.code(), "suspect");
    assert!(error.to_string().contains("tick_and_panic"), "{error}");
    host.engine.trust(MODULE).unwrap();
    host.engine.snapshot(MODULE).unwrap();
}

#[test]
fn a_restore_that_a_sweep_holds_up_happens_once_that_is_done() {
    let host = host(SuspectPolicy::Restore, true);
    // A snapshot that schema 2 can begin with.
    host.engine.snapshot(MODULE).unwrap();
    let kept = figures(&host);
    host.push(world::fixture(2).feature("slow-upgrade").build());
    panic_half_way(&host);
    wait_until("it's restored", || host.status().suspect.is_none());
    assert_eq!(figures(&host), kept);
}
