//! Versions that keep the state in another shape: on the way there, on the way back, and where there is none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fixture_api::world::Realm;
use liveswap::status::MigrationStage;
use liveswap::{CallError, Push};
use liveswap_tests::world::{
    self, Inside, figures, migration, realm, schema, wait_until_it_tries_again, wait_until_swept,
};
use liveswap_tests::{Fixture, Host, wait_until};

const ENTITIES: u64 = 3_000;

/// Also if a push failed: callers must not run on.
struct Done<'flag>(&'flag AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_upgrade_its_rollback_and_the_way_forward_again_keep_every_entity() {
    let host = world::serving(ENTITIES);
    let before = figures(&host);
    assert_eq!(before.count, ENTITIES);

    let published = host.push(world::version(2));
    let migrated = published.migrated.expect("the state has another shape");
    assert_eq!((migrated.from_schema, migrated.to_schema), (1, 2));
    assert_eq!((schema(&host), figures(&host)), (2, before));
    let entity = realm(&host).call(|realm| realm.describe(7)).unwrap().unwrap();
    assert!(entity.contains("level: 0") && entity.contains(".0, inventory"), "{entity}");
    assert_eq!(realm(&host).call(|realm| realm.notes()).unwrap(), ["weather fair"]);
    wait_until_swept(&host);

    let back = host.rollback();
    assert_eq!(back.migrated.map(|it| (it.from_schema, it.to_schema)), Some((2, 1)));
    assert_eq!((schema(&host), figures(&host)), (1, before));
    wait_until_swept(&host);
    host.wait_until_mapped(1);

    host.push(world::version(2));
    assert_eq!((schema(&host), figures(&host)), (2, before));
    wait_until_swept(&host);
    host.commit();
    host.wait_until_mapped(1);
}

#[test]
fn a_rollback_keeps_what_was_written_on_the_new_version() {
    let host = world::serving(ENTITIES);
    let realm = realm(&host);
    host.push(world::version(2));
    // Some of it while shards are still to be migrated, perhaps; all of it before the way back.
    for id in 0..ENTITIES {
        realm.call(|realm| realm.train(id, 250)).unwrap();
    }
    realm.call(|realm| realm.remove(5)).unwrap();
    realm.call(|realm| realm.fill(ENTITIES, 10)).unwrap();
    realm.call(|realm| realm.note("written on schema 2".to_owned())).unwrap();
    let before = figures(&host);
    host.rollback();
    assert_eq!((schema(&host), figures(&host)), (1, before));
    assert_eq!(realm.call(|realm| realm.notes()).unwrap(), ["written on schema 2"]);

    // And on the way forward again, what schema 2 alone has follows from that.
    host.push(world::version(2));
    let entity = realm.call(|realm| realm.describe(7)).unwrap().unwrap();
    assert!(entity.contains("level: 2"), "{entity}");
    assert_eq!(figures(&host), before);
}

#[test]
fn callers_that_write_all_the_while_lose_nothing() {
    let host = world::serving(ENTITIES);
    let (done, trained) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..2 {
            let (realm, done, trained) = (realm(&host), &done, &trained);
            scope.spawn(move || {
                let mut id = number;
                while !done.load(Ordering::Relaxed) {
                    id = (id + 7919) % ENTITIES;
                    realm.call(|realm| realm.train(id, 1)).unwrap().unwrap();
                    realm.call(|realm| realm.look(id)).unwrap().unwrap();
                    trained.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _done = Done(&done);
        for _ in 0..5 {
            host.push(world::version(2));
            // In the middle of its sweep, perhaps.
            host.rollback();
            host.push(world::version(2));
            wait_until_swept(&host);
            host.push(world::version(3));
            host.push(Push::file(world::version(1)).allow_older());
        }
    });
    let figures = figures(&host);
    assert_eq!((figures.count, figures.experience), (ENTITIES, trained.load(Ordering::Relaxed)));
    wait_until_swept(&host);
    host.commit();
    host.wait_until_mapped(1);
}

#[test]
fn a_state_that_is_two_schemas_behind_goes_through_both_and_back() {
    let host = world::serving(ENTITIES);
    let before = figures(&host);
    let migrated = host.push(world::version(3)).migrated.unwrap();
    assert_eq!((migrated.from_schema, migrated.to_schema), (1, 3));
    assert_eq!((schema(&host), figures(&host)), (3, before));
    host.rollback();
    assert_eq!((schema(&host), figures(&host)), (1, before));
    wait_until_swept(&host);
    host.wait_until_mapped(1);
}

#[test]
fn a_rollback_after_a_commit_takes_the_state_back_with_it() {
    let host = world::serving(ENTITIES);
    host.push(world::version(2));
    host.commit();
    host.wait_until_mapped(1);
    realm(&host).call(|realm| realm.train(1, 100)).unwrap();
    let before = figures(&host);
    let back = host.rollback();
    assert_eq!(back.migrated.map(|it| (it.from_schema, it.to_schema)), Some((2, 1)));
    assert_eq!((schema(&host), figures(&host)), (1, before));
    wait_until_swept(&host);
    host.wait_until_mapped(1);
}

#[test]
fn without_a_way_the_push_is_refused_and_names_what_differs_and_what_to_write() {
    let host = world::serving(10);
    let before = figures(&host);
    let candidate = world::fixture(2).feature("no-origin").build();
    let error = host.refused("wrong-state", candidate).to_string();
    for expected in [
        "`Entity.health`: found `f64`, expected `u32`",
        "`#[state(version = 2, from = v1::World)]`",
        "`mod v1`",
        "`impl Migrate`",
    ] {
        assert!(error.contains(expected), "{expected} isn't in: {error}");
    }
    assert_eq!((schema(&host), figures(&host)), (1, before));
    host.wait_until_mapped(1);
}

#[test]
fn a_one_way_upgrade_must_be_allowed_and_then_has_no_way_back() {
    let host = world::serving(ENTITIES);
    let before = figures(&host);
    let candidate = world::fixture(2).feature("one-way").build();
    assert!(liveswap::inspect(&candidate).unwrap().to_string().contains("one-way"));
    let error = host.refused("one-way", candidate.as_path()).to_string();
    assert!(error.contains("--allow-one-way"), "{error}");
    assert_eq!(schema(&host), 1);

    host.push(Push::file(candidate).allow_one_way());
    assert_eq!((schema(&host), figures(&host)), (2, before));
    let error = host.engine.rollback(liveswap_tests::host::MODULE).unwrap_err();
    assert_eq!(error.code(), "no-way-back");
    assert_eq!((schema(&host), figures(&host)), (2, before));
    host.refused("no-way-back", Push::file(world::version(1)).allow_older());
}

#[test]
fn an_entity_that_cannot_be_migrated_refuses_the_push_before_anything_has_changed() {
    let host = world::serving(ENTITIES);
    realm(&host).call(|realm| realm.curse(1234)).unwrap();
    let before = figures(&host);
    let error = host.refused("migration-failed", world::version(2)).to_string();
    assert!(error.contains("it is cursed"), "{error}");
    assert_eq!((schema(&host), figures(&host)), (1, before));
    assert_eq!(migration(&host).stage, MigrationStage::Failed);
    host.wait_until_mapped(1);
    // Mended, it goes.
    realm(&host).call(|realm| realm.remove(1234)).unwrap();
    host.push(world::version(2));
    assert_eq!(figures(&host).count, ENTITIES - 1);
}

/// The entity becomes one after the check, while a call keeps the hand-over waiting.
#[test]
fn an_entity_that_cannot_be_migrated_and_is_found_by_the_sweep_takes_all_of_it_back() {
    let host = Host::of::<dyn Realm>(|builder, folder| builder.watch(folder.join("watched")));
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, 60_000)).unwrap();
    let is_at = |stage| host.status().migration.is_some_and(|it| it.stage == stage && it.done > 0);
    thread::scope(|scope| {
        let pushing = scope.spawn(|| host.push(world::version(2)));
        wait_until("the check is under way", || is_at(MigrationStage::Checking));
        let inside = Inside::in_the_state(&host);
        wait_until("the hand-over waits", || {
            let migration = migration(&host);
            migration.stage == MigrationStage::HandingOver && !migration.waits_for.is_empty()
        });
        assert!(realm(&host).call(|realm| realm.curse(59_999)).unwrap(), "nobody looks at it any more");
        assert_eq!(inside.release(), 1);
        assert!(pushing.join().unwrap().migrated.is_some());
    });
    wait_until("it's rolled back by itself", || host.status().swaps.rolled_back == 1);
    wait_until_swept(&host);
    assert_eq!((schema(&host), figures(&host).count), (1, 60_000));
    let cursed = realm(&host).call(|realm| realm.look(59_999)).unwrap().unwrap();
    assert_eq!(cursed.health, fixture_api::world::CURSED);
    host.wait_until_mapped(1);
    // A watched folder doesn't bring it back, though it could be migrated now.
    realm(&host).call(|realm| realm.remove(59_999)).unwrap();
    let candidate = world::version(2);
    let offered = host.folder().join("watched").join(candidate.file_name().unwrap());
    std::fs::copy(&candidate, &offered).unwrap();
    host.engine.rescan();
    assert_eq!(schema(&host), 1);
}

#[test]
fn a_downgrade_that_an_entity_cannot_take_is_refused_and_the_new_version_serves_on() {
    let host = world::serving(ENTITIES);
    host.push(world::fixture(2).feature("strict-downgrade").build());
    realm(&host).call(|realm| realm.train(8, 5_000)).unwrap();
    let before = figures(&host);
    let error = host.engine.rollback(liveswap_tests::host::MODULE).unwrap_err();
    assert_eq!(error.code(), "migration-failed");
    assert!(error.to_string().contains("it knows too much to go back"), "{error}");
    assert_eq!((schema(&host), figures(&host)), (2, before));
    assert_eq!(host.slots(), (Some("1002".to_owned()), Some("1001".to_owned())));
    realm(&host).call(|realm| realm.remove(8)).unwrap();
    host.rollback();
    assert_eq!(figures(&host).count, ENTITIES - 1);
}

#[test]
fn a_call_in_the_state_is_waited_for_by_trying_again_and_is_named() {
    let host = world::serving(ENTITIES);
    let inside = Inside::in_the_state(&host);
    thread::scope(|scope| {
        let pushing = scope.spawn(|| host.push(world::version(2)));
        wait_until_it_tries_again(&host);
        let waits_for = &migration(&host).waits_for;
        assert_eq!(waits_for[0].thread, "stays-inside");
        assert_eq!(waits_for[0].method, Some("wait_in_the_state"));
        // Calls go on meanwhile.
        assert_eq!(figures(&host).count, ENTITIES);
        assert_eq!(schema(&host), 1);
        assert_eq!(inside.release(), 1);
        assert!(pushing.join().unwrap().migrated.is_some());
    });
    assert_eq!(schema(&host), 2);
}

#[test]
fn a_call_that_never_leaves_the_state_ends_in_a_refusal_that_names_it() {
    let host =
        Host::of::<dyn Realm>(|builder, _| builder.hand_over_deadline(std::time::Duration::from_millis(200)));
    host.push(world::version(1));
    let inside = Inside::in_the_state(&host);
    let error = host.refused("pause-missed", world::version(2)).to_string();
    assert!(error.contains("stays-inside") && error.contains("pause_max"), "{error}");
    assert_eq!(schema(&host), 1);
    assert_eq!(inside.release(), 1);
    host.push(world::version(2));
}

#[test]
fn a_call_that_does_not_touch_the_state_is_not_waited_for() {
    let host = world::serving(ENTITIES);
    let inside = Inside::begin(&host, |realm, latch| realm.call(|realm| realm.wait(latch)).unwrap());
    assert!(host.push(world::version(2)).migrated.is_some());
    assert_eq!(schema(&host), 2);
    assert_eq!(inside.release(), 1, "it finishes on the old version");
}

#[test]
fn a_unit_of_work_that_comes_back_to_the_state_too_late_is_told_so() {
    let host = world::serving(ENTITIES);
    let inside = Inside::begin(&host, |realm, latch| {
        let guard = realm.enter().unwrap();
        let schema = guard.wait(latch).unwrap();
        let late = guard.look(1).unwrap_err();
        let CallError::Superseded { version, method, .. } = late else { panic!("got {late:?}") };
        assert_eq!((version.as_str(), method.as_str()), ("1001", "look"));
        drop(guard);
        assert!(realm.call(|realm| realm.look(1)).unwrap().is_some());
        schema
    });
    host.push(world::version(2));
    assert_eq!(inside.release(), 1);
}

#[test]
fn a_unit_of_work_that_has_begun_is_waited_for() {
    let host = world::serving(ENTITIES);
    let inside = Inside::begin(&host, |realm, latch| {
        let guard = realm.enter().unwrap();
        let schema = guard.wait_in_the_state(latch).unwrap();
        assert!(guard.look(1).unwrap().is_some(), "it isn't cut off between two calls");
        schema
    });
    thread::scope(|scope| {
        let pushing = scope.spawn(|| host.push(world::version(2)));
        wait_until_it_tries_again(&host);
        assert_eq!(inside.release(), 1);
        pushing.join().unwrap();
    });
}

#[test]
fn the_engine_can_end_in_the_middle_of_a_sweep() {
    let host = world::serving(20_000);
    host.push(world::version(2));
    drop(host);
}

/// What is left of the sweep waits for a call that never ends. The engine doesn't.
#[test]
fn the_engine_ends_though_a_call_holds_the_sweep_up() {
    let host =
        Host::of::<dyn Realm>(|builder, _| builder.drain_deadline(std::time::Duration::from_millis(200)));
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, 100)).unwrap();
    host.push(world::fixture(2).feature("slow-upgrade").build());
    let inside =
        Inside::begin(&host, |realm, latch| realm.call(|realm| realm.wait_in_a_shard(99, latch)).unwrap());
    let (ended, has_ended) = std::sync::mpsc::channel();
    thread::spawn(move || {
        drop(host);
        ended.send(()).unwrap();
    });
    let outcome = has_ended.recv_timeout(std::time::Duration::from_secs(10));
    assert_eq!(inside.release(), 2);
    outcome.expect("it doesn't wait for the call");
}

/// The way back from 1002 to 1001 is what is stuck: 1000 is of 1001's schema, and no help.
#[test]
fn a_sweep_that_is_stuck_on_the_way_back_does_not_take_one_more_version_back() {
    let host = Host::of::<dyn Realm>(|builder, folder| builder.snapshots(folder.join("snapshots")));
    host.push(Fixture::world("1000").build());
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, 60_000)).unwrap();
    host.push(world::fixture(2).feature("strict-downgrade").build());
    wait_until_swept(&host);
    let is_at = |stage| host.status().migration.is_some_and(|it| it.stage == stage && it.done > 0);
    thread::scope(|scope| {
        let rolling_back = scope.spawn(|| host.rollback());
        wait_until("the check is under way", || is_at(MigrationStage::Checking));
        let inside = Inside::in_the_state(&host);
        wait_until("the hand-over waits", || {
            let migration = migration(&host);
            migration.stage == MigrationStage::HandingOver && !migration.waits_for.is_empty()
        });
        assert_eq!(realm(&host).call(|realm| realm.train(59_999, 5_000)).unwrap(), Some(5_000));
        inside.release();
        assert!(rolling_back.join().unwrap().migrated.is_some());
    });
    wait_until("the sweep is stuck", || migration(&host).stage == MigrationStage::Stuck);
    thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!((host.slots().0.as_deref(), host.status().swaps.rolled_back), (Some("1001"), 1));
    // Who asks for a snapshot is told, and doesn't wait for what doesn't come.
    let error = host.engine.snapshot(liveswap_tests::host::MODULE).unwrap_err();
    assert!(error.to_string().contains("a part of it can't be migrated"), "{error}");
}
