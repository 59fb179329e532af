//! Snapshots: what a process leaves of the state, and what the next one begins with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fixture_api::world::Realm;
use liveswap::{Engine, Push, PushError};
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, Inside, figures, realm, schema, wait_until_swept};
use liveswap_tests::{Host, wait_until};
use tempfile::TempDir;

const ENTITIES: u64 = 2_000;

/// A folder that outlives the hosts that keep their snapshots in it.
struct Kept(TempDir);

impl Kept {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A host that keeps its snapshots here, without a version yet.
    fn host(&self) -> Host {
        Host::of::<dyn Realm>(|builder, _| builder.snapshots(self.path()))
    }

    /// The same, but that it takes none by itself.
    fn host_that_takes_none(&self) -> Host {
        Host::of::<dyn Realm>(|builder, _| builder.snapshots(self.path()).snapshot_at_end(false))
    }

    /// The first, with entities.
    fn filled(&self) -> Host {
        let host = self.host();
        host.push(world::version(1));
        realm(&host).call(|realm| realm.fill(0, ENTITIES)).unwrap();
        host
    }

    /// The snapshots, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|it| it == "snapshot")).collect();
        files.sort();
        files
    }
}

#[test]
fn the_next_process_begins_with_what_this_one_left_at_its_end() {
    let kept = Kept::new();
    let host = kept.filled();
    realm(&host).call(|realm| realm.train(7, 77)).unwrap();
    let left = figures(&host);
    drop(host);
    assert_eq!(kept.files().len(), 1);

    let host = kept.host();
    host.push(world::version(1));
    assert_eq!(figures(&host), left);
    assert_eq!(host.status().snapshots.unwrap().restored_from, kept.files().first().cloned());
}

#[test]
fn a_snapshot_on_demand_shows_the_moment_at_which_it_was_asked_for() {
    let kept = Kept::new();
    let host = kept.filled();
    let done = AtomicBool::new(false);
    let taken = thread::scope(|scope| {
        // Entities come in pairs, in one call: so no moment is between the two.
        scope.spawn(|| {
            let mut id = ENTITIES;
            while !done.load(Ordering::Relaxed) {
                realm(&host).call(|realm| realm.fill(id, 2)).unwrap();
                id += 2;
            }
        });
        let taken = host.engine.snapshot(MODULE);
        done.store(true, Ordering::Relaxed);
        taken.unwrap()
    });
    assert_eq!(taken.bytes, fs::metadata(&taken.path).unwrap().len());
    let snapshots = host.status().snapshots.unwrap();
    assert_eq!((snapshots.taken, snapshots.failed, snapshots.last), (1, 0, Some(taken.clone())));

    let elsewhere = Kept::new();
    fs::copy(&taken.path, elsewhere.path().join(taken.path.file_name().unwrap())).unwrap();
    let second = elsewhere.host();
    second.push(world::version(1));
    let count = figures(&second).count;
    assert!(count >= ENTITIES && count.is_multiple_of(2), "{count}");
    assert!(count <= figures(&host).count);
}

#[test]
fn snapshots_are_taken_by_themselves_and_the_latest_are_kept() {
    let kept = Kept::new();
    let host = Host::of::<dyn Realm>(|builder, _| {
        let keep = std::num::NonZeroUsize::new(2).unwrap();
        builder.snapshots(kept.path()).snapshots_max(keep).snapshot_every(Duration::from_millis(5))
    });
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, 100)).unwrap();
    wait_until("five were taken", || host.status().snapshots.unwrap().taken >= 5);
    drop(host);
    assert_eq!(kept.files().len(), 2);
}

#[test]
fn an_interval_beyond_all_time_is_never() {
    let kept = Kept::new();
    let host =
        Host::of::<dyn Realm>(|builder, _| builder.snapshots(kept.path()).snapshot_every(Duration::MAX));
    host.push(world::version(1));
    host.push(world::version(2));
    assert_eq!(host.status().snapshots.unwrap().taken, 0);
    host.engine.snapshot("logic").unwrap();
    assert_eq!(host.status().snapshots.unwrap().taken, 1);
}

#[test]
fn a_snapshot_of_an_older_schema_is_migrated_before_anybody_sees_it() {
    let kept = Kept::new();
    let host = kept.filled();
    let left = figures(&host);
    drop(host);
    let host = kept.host();
    let published = host.push(world::version(3));
    assert!(published.migrated.is_none(), "nobody was there to be held up");
    assert_eq!((schema(&host), figures(&host)), (3, left));
    // All of it: nothing is left that would keep the library.
    drop(host);
    let host = kept.host();
    host.push(world::version(3));
    assert_eq!(figures(&host), left);
}

#[test]
fn a_snapshot_of_a_newer_schema_is_never_passed_over() {
    let kept = Kept::new();
    let host = kept.filled();
    host.engine.snapshot(MODULE).unwrap();
    host.push(world::version(2));
    wait_until_swept(&host);
    let left = figures(&host);
    drop(host);
    assert_eq!(kept.files().len(), 2);

    let host = kept.host();
    let error = host.refused("other-snapshot", world::version(1)).to_string();
    assert!(error.contains("schema 2") && error.contains("schema 1"), "{error}");
    assert_eq!(kept.files().len(), 2, "nothing is deleted");
    host.push(world::version(2));
    assert_eq!(figures(&host), left);
}

#[test]
fn a_damaged_snapshot_is_refused_with_the_reason_and_the_next_older_one_is_used() {
    let kept = Kept::new();
    let host = kept.filled();
    let older = figures(&host);
    host.engine.snapshot(MODULE).unwrap();
    realm(&host).call(|realm| realm.train(1, 1)).unwrap();
    drop(host);
    let files = kept.files();
    let newest = files.last().unwrap();
    let whole = fs::read(newest).unwrap();
    for (damaged, reason) in [
        (whole[..whole.len() / 2].to_vec(), "is cut short"),
        (flipped(&whole, whole.len() / 2), "is damaged"),
        (flipped(&whole, 0), "isn't a snapshot"),
    ] {
        fs::write(newest, &damaged).unwrap();
        let host = kept.host_that_takes_none();
        host.push(world::version(1));
        assert_eq!(figures(&host), older, "{reason}");
        let snapshots = host.status().snapshots.unwrap();
        assert!(snapshots.passed_over[0].contains(reason), "{:?}", snapshots.passed_over);
        assert_eq!(snapshots.restored_from.as_ref(), files.first());
        drop(host);
        assert_eq!(fs::read(newest).unwrap(), damaged, "nothing is deleted");
    }
}

fn flipped(bytes: &[u8], place: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= 0x10;
    bytes
}

#[test]
fn without_a_folder_a_snapshot_is_refused() {
    let host = world::serving(1);
    assert_eq!(host.engine.snapshot(MODULE).unwrap_err().code(), "no-snapshots");
    let kept = Kept::new();
    assert_eq!(kept.host().engine.snapshot(MODULE).unwrap_err().code(), "no-state");
    assert_eq!(kept.host().engine.snapshot("chat").unwrap_err().code(), "unknown-module");
}

#[test]
fn a_folder_is_one_engines_at_a_time() {
    let kept = Kept::new();
    let _host = kept.host();
    let second = Engine::builder().module::<dyn Realm>(MODULE).snapshots(kept.path()).build();
    assert!(second.unwrap_err().to_string().contains("keep snapshots in"));
}

#[test]
fn a_call_in_the_state_holds_a_snapshot_up_and_no_other_call() {
    let kept = Kept::new();
    let host = kept.filled();
    let inside = Inside::in_the_state(&host);
    thread::scope(|scope| {
        let taking = scope.spawn(|| host.engine.snapshot(MODULE));
        wait_until("it's being taken", || host.status().snapshots.unwrap().under_way);
        assert_eq!(figures(&host).count, ENTITIES);
        assert!(host.status().active.unwrap().holders.iter().any(|it| it.method == Some("snapshot")));
        inside.release();
        taking.join().unwrap().unwrap();
    });
}

#[test]
fn a_migration_has_a_snapshot_given_up_which_is_taken_afterwards() {
    let kept = Kept::new();
    let host = kept.host_that_takes_none();
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, ENTITIES)).unwrap();
    let inside = Inside::in_the_state(&host);
    thread::scope(|scope| {
        let taking = scope.spawn(|| host.engine.snapshot(MODULE));
        wait_until("it's being taken", || host.status().snapshots.unwrap().under_way);
        let pushing = scope.spawn(|| host.push(world::version(2)));
        wait_until("it's given up", || !host.status().snapshots.unwrap().under_way);
        inside.release();
        assert!(pushing.join().unwrap().migrated.is_some());
        taking.join().unwrap().unwrap();
    });
    assert_eq!(host.status().snapshots.unwrap().failed, 0);
    let left = figures(&host);
    drop(host);
    let host = kept.host();
    host.push(world::version(2));
    assert_eq!(figures(&host), left, "it's of the new schema");
}

#[test]
fn a_state_that_cannot_be_migrated_from_its_snapshot_refuses_the_push() {
    let kept = Kept::new();
    let host = kept.filled();
    realm(&host).call(|realm| realm.curse(3)).unwrap();
    let left = figures(&host);
    drop(host);
    let host = kept.host();
    let error = host.engine.push(world::version(2)).unwrap_err();
    assert!(matches!(&error, PushError::Prepare(_)) && error.to_string().contains("it is cursed"), "{error}");
    host.push(Push::file(world::version(1)));
    assert_eq!(figures(&host), left);
}
