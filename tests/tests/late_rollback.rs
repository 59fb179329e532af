//! A rollback in the middle of a sweep, which ends before the rollback has found its moment.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fixture_api::Latch;
use fixture_api::world::Realm;
use liveswap::status::MigrationStage;
use liveswap_tests::reaction::react_to;
use liveswap_tests::world::{self, figures, migration, realm, schema, wait_until_swept};
use liveswap_tests::{Host, wait_until};

const ENTITIES: u64 = 3_000;

/// What the rollback has left to be migrated needs the version that it leaves, and a sweep that sees to its end.
#[test]
fn a_rollback_that_waits_until_the_sweep_has_ended_is_swept_too() {
    let host = Host::of::<dyn Realm>(|builder, _| builder.sweep_deadline(Duration::ZERO));
    host.push(world::version(1));
    let realm = realm(&host);
    realm.call(|realm| realm.fill(0, ENTITIES)).unwrap();
    let before = figures(&host);
    let sweeping = Arc::new(Latch::default());
    let log = react_to(&["the sweep after a migration goes on beyond its deadline"], {
        let sweeping = sweeping.clone();
        move || sweeping.wait()
    });
    host.push(world::version(2));
    wait_until("the sweep is under way", || sweeping.is_entered());
    // Between two calls: the check isn't held up by that, but the hand-over is.
    let guard = realm.enter().unwrap();
    thread::scope(|scope| {
        let rolling_back = scope.spawn(|| host.rollback());
        wait_until("the hand-over waits", || {
            let migration = migration(&host);
            migration.stage == MigrationStage::HandingOver && !migration.waits_for.is_empty()
        });
        sweeping.release();
        let is_done = "the sweep is done: all of the state is migrated";
        wait_until("the sweep is done", || log.records().iter().any(|it| it.text("message") == is_done));
        drop(guard);
        assert!(rolling_back.join().unwrap().migrated.is_some());
    });
    wait_until_swept(&host);
    host.wait_until_mapped(1);
    assert_eq!((schema(&host), figures(&host)), (1, before));
}
