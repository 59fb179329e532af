//! Calls that last longer than the version they are in stays wanted: who holds it, and until when.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fixture_api::{Game, GameProxy, Latch};
use liveswap::status::Holder;
use liveswap::{Guard, Module, Push};
use liveswap_state::CallError;
use liveswap_tests::log::Log;
use liveswap_tests::{Host, Patched, logic, wait_until};

/// A call inside a version, on a thread of its own, until it's released.
struct Held {
    latch: Arc<Latch>,
    thread: JoinHandle<Result<String, CallError>>,
}

impl Held {
    /// Returns when the call is inside.
    fn by(
        name: &str,
        game: Module<dyn Game>,
        call: fn(&GameProxy<Guard<'_>>, &Latch) -> Result<String, CallError>,
    ) -> Self {
        let latch = Arc::new(Latch::default());
        let thread = thread::Builder::new().name(name.to_owned()).spawn({
            let latch = latch.clone();
            move || game.call(|game| call(game, &latch))
        });
        let held = Self { latch, thread: thread.unwrap() };
        wait_until(&format!("{name} is inside"), || held.latch.is_entered() || held.thread.is_finished());
        held
    }

    fn stateless(name: &str, host: &Host) -> Self {
        Self::by(name, host.game(), |game, latch| game.hold(latch))
    }

    /// Lets the call return, and waits for what it answers.
    fn release(self) -> String {
        self.latch.release();
        self.thread.join().unwrap().unwrap()
    }
}

fn names(holders: &[Holder]) -> Vec<&str> {
    holders.iter().map(|holder| holder.thread.as_str()).collect()
}

#[test]
fn p3_05_a_call_longer_than_the_swap_finishes_on_the_old_version() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let slow = thread::spawn(move || game.call(|game| game.slow(300)));
    wait_until("the call is inside", || host.status().active.unwrap().in_flight == 1);
    host.push(logic("1002"));
    assert_eq!(host.version(), "1002");
    assert_eq!(slow.join().unwrap(), Ok("1001".to_owned()));
}

#[test]
fn p3_05_the_status_names_who_holds_the_standby() {
    let host = Host::serving(logic("1001"));
    let held = Held::stateless("ada", &host);
    host.push(logic("1002"));
    // A push is answered once its version serves; then its predecessor hears of that, in a hook.
    wait_until("1001 has been told", || host.status().standby.unwrap().in_flight == 1);

    let standby = host.status().standby.unwrap();
    assert_eq!((standby.version.to_string().as_str(), standby.in_flight), ("1001", 1));
    let [holder] = &standby.holders[..] else { panic!("{:?}", standby.holders) };
    assert_eq!((holder.thread.as_str(), holder.method), ("ada", Some("hold")));
    assert_ne!(holder.thread_id, i32::try_from(std::process::id()).unwrap());
    assert_eq!(host.status().active.unwrap().in_flight, 0);
    let age = || host.status().standby.unwrap().holders[0].age_ms;
    let before = age();
    wait_until("the call has aged", || age() > before);

    // What other programs rely on.
    let json = serde_json::to_value(host.status()).unwrap();
    assert_eq!(json["standby"]["holders"][0]["thread"], "ada");
    assert_eq!(json["standby"]["holders"][0]["method"], "hold");

    assert_eq!(held.release(), "1001");
    let standby = host.status().standby.unwrap();
    assert_eq!((standby.in_flight, standby.holders.len()), (0, 0));
    assert_eq!(host.mapped().len(), 2, "it stays in its slot");
}

#[test]
fn p3_06_a_retired_version_is_unmapped_right_after_its_last_call_by_the_reaper() {
    let log = Log::of_this_process();
    let host = Host::new();
    // Numbers that no other test uses: the log is that of the whole process.
    let push = |version| {
        host.push(Patched::of(logic("1001")).version(version).write(host.folder(), version));
    };
    push("3001");
    let held = Held::stateless("ada", &host);
    push("3002");
    push("3003");
    let retired = host.retired("3001").unwrap();
    assert_eq!((retired.state, names(&retired.holders)), ("draining", vec!["ada"]));
    assert_eq!(host.mapped().len(), 3, "it's held");

    assert_eq!(held.release(), "3001");
    host.wait_until_unmapped("3001");
    assert_eq!(host.mapped().len(), 2);
    let records = log.records().into_iter();
    let of_this: Vec<_> = records.filter(|record| record.text("version") == "3001").collect();
    let unmapped = of_this.iter().find(|record| record.text("message") == "unmapped").unwrap();
    assert_eq!(unmapped.thread, "liveswap-reaper");
}

#[test]
fn a_call_inside_a_guard_is_held_by_the_guard() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let guard = game.enter().unwrap();
    guard.hit(1).unwrap();
    host.push(logic("1002"));
    host.commit();
    let retired = host.retired("1001").unwrap();
    assert_eq!((retired.state, retired.holders.len()), ("draining", 1));
    assert_eq!(retired.holders[0].method, None, "between two calls");
    assert_eq!(guard.version(), Ok("1001".to_owned()));
    assert_eq!(host.mapped().len(), 2);
    drop(guard);
    host.wait_until_unmapped("1001");
}

#[test]
fn p3_06_a_slow_call_delays_neither_pushes_nor_other_calls() {
    let host = Host::serving(logic("1001"));
    let shared = Held::by("ada", host.game(), |game, latch| game.hold_shared(latch));
    host.push(logic("1002"));
    host.push(logic("1003"));
    assert_eq!(host.game().call(|game| game.hit(2)), Ok(2));
    assert_eq!(host.version(), "1003");
    assert_eq!(shared.release(), "1001");

    // One that has the state alone holds up those that want it, on whichever version; but no push.
    let alone = Held::by("alan", host.game(), |game, latch| game.hold_exclusive(latch));
    host.push(Push::file(logic("1002")).allow_older());
    assert_eq!(host.version(), "1002", "a stateless call waits for nobody");
    let game = host.game();
    let waiting = thread::spawn(move || game.call(|game| game.record(1)));
    wait_until("the other call is inside", || host.status().active.unwrap().in_flight == 1);
    assert!(!waiting.is_finished());
    assert_eq!(alone.release(), "1003");
    assert_eq!(waiting.join().unwrap(), Ok(1));
}

#[test]
fn calls_that_share_the_state_and_one_that_has_it_alone_wait_for_each_other() {
    let host = Host::serving(logic("1001"));
    let waits = |held: Held, call: fn(&GameProxy<Guard<'_>>) -> Result<u64, CallError>| {
        let game = host.game();
        let waiting = thread::spawn(move || game.call(call));
        wait_until("both are inside", || host.status().active.unwrap().in_flight == 2);
        for _ in 0..20 {
            assert!(!waiting.is_finished(), "it didn't wait");
            // The time that a call which doesn't wait would need to return.
            thread::sleep(Duration::from_millis(1));
        }
        held.release();
        assert_eq!(waiting.join().unwrap(), Ok(1));
    };
    let sharing = Held::by("ada", host.game(), |game, latch| game.hold_shared(latch));
    waits(sharing, |game| game.record(1));
    let alone = Held::by("ada", host.game(), |game, latch| game.hold_exclusive(latch));
    waits(alone, |game| game.hit(1));
}

#[test]
fn too_many_retired_versions_are_refused_with_their_names_and_holders() {
    let host = Host::with(|builder, _| builder.retained_max(2));
    let versions = ["1001", "1002", "1003", "1004"];
    let candidate = |version: &str| Patched::of(logic("1001")).version(version).write(host.folder(), version);
    let mut held: Vec<_> = versions
        .iter()
        .map(|version| {
            host.push(candidate(version));
            Held::stateless(&format!("holder-{version}"), &host)
        })
        .collect();
    // 1001 and 1002 have left their slots; with the next push 1003 would.
    let next = candidate("1005");
    let error = host.refused("too-many-retained", &*next).to_string();
    for found in ["1001", "holder-1001", "1002", "holder-1002"] {
        assert!(error.contains(found), "{error}");
    }
    assert!(!error.contains("1003"), "{error}");
    assert_eq!((host.version().as_str(), host.mapped().len()), ("1004", 4));
    assert_eq!(host.status().swaps.refused, 1);

    // Once one of them has gone there is room.
    assert_eq!(held.remove(0).release(), "1001");
    host.wait_until_unmapped("1001");
    host.push(&*next);
    assert_eq!(host.version(), "1005");
    for (held, version) in held.into_iter().zip(&versions[1..]) {
        assert_eq!(held.release(), *version);
    }
    host.wait_until_mapped(2);
}

#[test]
fn retired_versions_drain_independently_of_each_other() {
    let host = Host::new();
    let mut held = Vec::new();
    for version in ["1001", "1002", "1003"] {
        host.push(logic(version));
        held.push(Some(Held::stateless(version, &host)));
    }
    host.push(Patched::of(logic("1003")).version("1004").write(host.folder(), "1004"));
    host.commit();
    assert_eq!(host.mapped().len(), 4);
    // The youngest goes first, and the oldest stays.
    for (index, version, left) in [(2, "1003", 3), (1, "1002", 2), (0, "1001", 1)] {
        assert_eq!(host.retired(version).unwrap().state, "draining");
        assert_eq!(held[index].take().unwrap().release(), version);
        host.wait_until_unmapped(version);
        assert_eq!(host.mapped().len(), left);
    }
}

#[test]
fn a_drain_that_lasts_is_logged_with_its_holders_and_never_unmaps() {
    let log = Log::of_this_process();
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_millis(20)));
    host.push(Patched::of(logic("1001")).version("2001").write(host.folder(), "2001"));
    let held = Held::stateless("ada", &host);
    host.push(Patched::of(logic("1001")).version("2002").write(host.folder(), "2002"));
    host.commit();
    let overdue = || -> Vec<_> {
        let records = log.records().into_iter();
        records.filter(|record| record.text("version") == "2001" && record.text("holders") == "ada").collect()
    };
    wait_until("it is logged", || !overdue().is_empty());
    let [record] = &overdue()[..] else { panic!("{:?}", overdue()) };
    assert_eq!((record.level, record.text("module")), (tracing::Level::WARN, "logic"));
    assert_eq!((host.retired("2001").unwrap().state, host.mapped().len()), ("draining", 2));
    assert_eq!(held.release(), "2001");
    host.wait_until_unmapped("2001");
    assert_eq!(overdue().len(), 1, "said once");
}

#[test]
fn an_engine_that_ends_waits_for_calls_in_flight() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let held = Held::stateless("ada", &host);
    let ending = thread::spawn(move || drop(host));
    wait_until("nobody enters any more", || game.call(|game| game.version()).is_err());
    assert!(!ending.is_finished());
    assert_eq!(held.release(), "1001");
    ending.join().unwrap();
}

#[test]
fn an_engine_that_ends_gives_up_at_the_deadline_and_leaves_the_code_under_the_call() {
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_millis(20)));
    host.push(logic("1001"));
    let library = host.mapped().pop_first().unwrap();
    let held = Held::by("ada", host.game(), |game, latch| game.hold_shared(latch));
    let started = Instant::now();
    drop(host);
    assert!(started.elapsed() >= Duration::from_millis(20));
    assert!(liveswap_tests::maps::mapped(library.parent().unwrap()).contains(&library));
    assert_eq!(held.release(), "1001");
}

/// The end of the engine waits for a version that is still draining,
/// and is woken when that is gone. The deadline is longer than the test waits: reaching it would be a fault.
#[test]
fn the_end_of_the_engine_goes_on_as_soon_as_the_last_version_has_drained() {
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_secs(600)));
    let push = |version| {
        host.push(Patched::of(logic("1001")).version(version).write(host.folder(), version));
    };
    push("4001");
    let held = Held::stateless("ada", &host);
    push("4002");
    push("4003");
    assert_eq!(host.retired("4001").unwrap().state, "draining");
    let game = host.game();
    let end = thread::spawn(move || drop(host));
    wait_until("nobody enters any more", || game.call(|game| game.version()).is_err());
    assert!(!end.is_finished(), "a call is still inside");

    assert_eq!(held.release(), "4001");
    wait_until("the engine has ended", || end.is_finished());
    end.join().unwrap();
}
