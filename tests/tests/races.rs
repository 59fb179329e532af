//! Calls of every kind from several threads, against swaps and rollbacks, with and without another shape of the state.
//!
//! It's short, as it's for ThreadSanitizer (`ci/race`), which makes all of it many times slower and looks at each
//! access to memory. Without that, what it checks itself is that no call is lost. LIVESWAP_RACES says how many rounds
//! there are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fixture_api::world::Realm;
use liveswap::{Module, Push};
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, figures, realm, schema, wait_until_swept};
use liveswap_tests::{Fixture, Host};

const CALLERS: u64 = 4;
const ENTITIES: u64 = 600;
/// After so many turns a caller's thread ends, and another one takes its place.
const TURNS: u64 = 200;

/// What the callers did.
#[derive(Default)]
struct Account {
    trained: AtomicU64,
    ticks: AtomicU64,
    notes: AtomicU64,
}

impl Account {
    /// One call of each kind, alone and within another.
    fn turn(&self, realm: &Module<dyn Realm>, turn: u64) {
        let id = turn * 7919 % ENTITIES;
        assert!((1..=2).contains(&realm.call(|realm| realm.schema()).unwrap()));
        realm.call(|realm| realm.train(id, 1)).unwrap().unwrap();
        let name = realm.call(|realm| realm.look(id)).unwrap().unwrap().name;
        assert!(name.starts_with("being "), "{name}");
        realm.call(|realm| realm.tick()).unwrap();
        // A unit of work: all of it on one version.
        realm
            .call(|outer| {
                let schema = outer.schema()?;
                outer.train(id, 1)?;
                realm.call(|inner| inner.tick())?;
                assert_eq!(outer.schema()?, schema);
                Ok::<_, liveswap::CallError>(())
            })
            .unwrap();
        if turn.is_multiple_of(50) {
            realm.call(|realm| realm.note(format!("turn {turn}"))).unwrap();
            self.notes.fetch_add(1, Ordering::Relaxed);
        }
        // A call that shares the state reads what one that has it alone has written.
        if turn.is_multiple_of(5) {
            let notes = realm.call(|realm| realm.notes()).unwrap();
            assert!(notes.iter().all(|note| note.starts_with("turn ") || note.starts_with("weather ")));
        }
        self.trained.fetch_add(2, Ordering::Relaxed);
        self.ticks.fetch_add(2, Ordering::Relaxed);
    }

    fn call_on(&self, host: &Host, number: u64, done: &AtomicBool) {
        let mut turn = number;
        while !done.load(Ordering::Relaxed) {
            let handle = realm(host);
            thread::scope(|scope| {
                let caller = || (turn..turn + TURNS).for_each(|turn| self.turn(&handle, turn));
                scope.spawn(caller).join().unwrap();
            });
            turn += TURNS;
        }
    }
}

/// Also if a swap failed: the callers must not run on.
struct Done<'flag>(&'flag AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn rounds() -> usize {
    std::env::var("LIVESWAP_RACES").map_or(2, |rounds| rounds.parse().expect("LIVESWAP_RACES is a number"))
}

/// With names of functions, so that a report has them.
fn build(fixture: Fixture) -> std::path::PathBuf {
    fixture.with_symbols().build()
}

#[test]
fn swaps_rollbacks_and_calls_of_every_kind_get_into_each_other_s_way_and_nothing_is_lost() {
    let [first, same, other] = [world::fixture(1), Fixture::world("1004"), world::fixture(2)].map(build);
    let host = Host::of::<dyn Realm>(|builder, folder| builder.snapshots(folder.join("snapshots")));
    host.push(first.as_path());
    realm(&host).call(|realm| realm.fill(0, ENTITIES)).unwrap();
    let (account, done) = (Account::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let (host, account, done) = (&host, &account, &done);
            scope.spawn(move || account.call_on(host, number, done));
        }
        let _done = Done(&done);
        for _ in 0..rounds() {
            // The state stays where it is.
            host.push(Push::file(&same).allow_older());
            host.rollback();
            host.push(Push::file(&same).allow_older());
            host.commit();
            host.engine.snapshot(MODULE).unwrap();
            // It gets another shape; and back again in the middle of the sweep, perhaps, or after a commit.
            host.push(Push::file(&other).allow_older());
            host.rollback();
            host.push(Push::file(&other).allow_older());
            wait_until_swept(&host);
            host.engine.snapshot(MODULE).unwrap();
            host.commit();
            host.rollback();
            host.engine.status();
            host.push(Push::file(&first).allow_older());
        }
    });
    wait_until_swept(&host);
    let all = figures(&host);
    assert_eq!((schema(&host), all.count), (1, ENTITIES));
    assert_eq!(all.experience, account.trained.load(Ordering::Relaxed));
    assert_eq!(all.ticks, account.ticks.load(Ordering::Relaxed));
    let notes = realm(&host).call(|realm| realm.notes()).unwrap();
    assert_eq!(notes.len() as u64, account.notes.load(Ordering::Relaxed));
    host.commit();
    host.wait_until_mapped(1);
}
