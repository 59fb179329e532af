//! Leases: one version across threads and pushes, named by whoever holds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fixture_api::threads::Threads;
use fixture_api::world::Realm;
use fixture_api::{Game, Latch};
use liveswap::status::Holder;
use liveswap::{CallError, Lease, Module, PushOutcome};
use liveswap_tests::log::Log;
use liveswap_tests::threads::{self, Worker};
use liveswap_tests::{Host, Patched, logic, wait_until, world};

fn lease(host: &Host, name: &str) -> Lease<dyn Game> {
    host.game().lease(name).unwrap()
}

fn version(lease: &Lease<dyn Game>) -> String {
    lease.call(|game| game.version()).unwrap()
}

/// Who holds a version by a lease, and nobody else does.
#[track_caller]
fn leases(holders: &[Holder]) -> Vec<&str> {
    let names = holders.iter().map(|holder| {
        assert_eq!((holder.holds_by, holder.method), ("lease", None));
        assert_eq!((holder.thread.as_str(), holder.thread_id), ("", 0));
        holder.label.as_deref().expect("a lease has a name")
    });
    names.collect()
}

#[test]
fn p3_05_a_lease_keeps_its_version_across_pushes_and_threads_and_dropping_it_lets_that_go() {
    let host = Host::serving(logic("1001"));
    let request = lease(&host, "request");
    host.push(logic("1002"));
    host.commit();
    assert_eq!((host.version().as_str(), request.version(), request.name()), ("1002", "1001", "request"));

    let request = thread::spawn(move || {
        assert_eq!(version(&request), "1001");
        assert_eq!(request.call(|game| game.record(2)), Ok(2), "the state is one");
        request
    });
    let request = request.join().unwrap();
    assert_eq!(version(&request), "1001");
    let retired = host.retired("1001").unwrap();
    assert_eq!((retired.state, leases(&retired.holders)), ("draining", vec!["request"]));
    assert_eq!(host.mapped().len(), 2);

    drop(request);
    host.wait_until_unmapped("1001");
    assert_eq!(host.mapped().len(), 1);
    assert_eq!(host.game().call(|game| game.record(1)), Ok(3));
}

#[test]
fn p3_06_a_lease_delays_neither_pushes_nor_calls_that_want_the_state_alone() {
    let host = Host::serving(logic("1001"));
    let held: Vec<_> = ["1001", "1002", "1003"]
        .into_iter()
        .map(|number| {
            if number != "1001" {
                host.push(logic(number));
            }
            assert_eq!(host.game().call(|game| game.record(1)).map(|_| ()), Ok(()));
            lease(&host, number)
        })
        .collect();
    for lease in held {
        assert_eq!(version(&lease), lease.name());
    }
}

#[test]
fn the_status_names_a_lease_and_what_is_called_through_it() {
    let host = Host::serving(logic("1001"));
    let held = lease(&host, "GET /feed");
    let active = host.status().active.unwrap();
    assert_eq!((active.in_flight, leases(&active.holders)), (0, vec!["GET /feed"]));
    let age = || host.status().active.unwrap().holders[0].age_ms;
    let before = age();
    wait_until("it ages", || age() > before);
    let json = serde_json::to_value(host.status()).unwrap();
    assert_eq!(json["active"]["holders"][0]["label"], "GET /feed");
    assert_eq!(json["active"]["holders"][0]["holds_by"], "lease");

    let latch = Arc::new(Latch::default());
    let calling = thread::Builder::new().name("ada".into()).spawn({
        let latch = latch.clone();
        move || held.call(|game| game.hold(&latch))
    });
    wait_until("it's inside", || latch.is_entered());
    let active = host.status().active.unwrap();
    assert_eq!((active.in_flight, active.holders.len()), (1, 2));
    let call = &active.holders[0];
    assert_eq!((call.thread.as_str(), call.label.as_deref()), ("ada", Some("GET /feed")));
    assert_eq!((call.holds_by, call.method), ("call", Some("hold")));
    latch.release();
    calling.unwrap().join().unwrap().unwrap();
    assert_eq!(host.status().active.unwrap().holders.len(), 0);
}

#[test]
fn a_named_call_is_shown_by_its_name_and_only_while_it_lasts() {
    let host = Host::serving(logic("1001"));
    let worker = Worker::new("ada");
    let hold = |name: Option<&'static str>| {
        let (game, latch) = (host.game(), Arc::new(Latch::default()));
        let held = latch.clone();
        let status = thread::scope(|scope| {
            let calling = scope.spawn(|| {
                worker.run(move || match name {
                    Some(name) => game.call_named(&name.into(), |game| game.hold(&held)),
                    None => game.call(|game| game.hold(&held)),
                })
            });
            wait_until("it's inside", || latch.is_entered());
            let status = host.status();
            latch.release();
            calling.join().unwrap().unwrap();
            status
        });
        let [holder] = &status.active.unwrap().holders[..] else { panic!("there is one holder") };
        assert_eq!((holder.thread.as_str(), holder.holds_by, holder.method), ("ada", "call", Some("hold")));
        holder.label.clone()
    };
    assert_eq!(hold(Some("GET /slow")).as_deref(), Some("GET /slow"));
    assert_eq!(hold(None), None);
    worker.end();
}

#[test]
fn a_call_within_a_leased_one_stays_on_the_leased_version_and_the_next_one_is_on_the_active_one() {
    let host = Host::serving(logic("1001"));
    let (held, game) = (lease(&host, "request"), host.game());
    host.push(logic("1002"));
    let nested = held.call(|leased| {
        assert_eq!(leased.version()?, "1001");
        let inner = lease(&host, "inner");
        assert_eq!((version(&inner), version(&held)), ("1001".to_owned(), "1001".to_owned()));
        game.call(|game| game.version())
    });
    assert_eq!(nested, Ok("1001".to_owned()));
    assert_eq!(host.version(), "1002");
    assert_eq!(version(&held), "1001");
}

#[test]
fn a_thread_that_is_inside_another_version_is_told_so() {
    let host = Host::serving(logic("1001"));
    let (held, game) = (lease(&host, "request"), host.game());
    host.push(logic("1002"));
    let guard = game.enter().unwrap();
    let refused = CallError::InsideAnother { module: "logic".into(), leased: "1001".into() };
    assert_eq!(held.call(|game| game.version()), Err(refused));
    assert_eq!(guard.version(), Ok("1002".to_owned()), "that one is as it was");
    drop(guard);
    assert_eq!(version(&held), "1001");
}

#[test]
fn a_lease_outlives_a_rollback() {
    let host = Host::serving(logic("1001"));
    host.push(logic("1002"));
    let held = lease(&host, "request");
    host.rollback();
    assert_eq!((host.version().as_str(), version(&held).as_str()), ("1001", "1002"));
    assert_eq!(held.call(|game| game.record(1)), Ok(1));
}

#[test]
fn a_lease_does_not_hold_up_a_state_that_changes_its_shape_and_is_told_of_it() {
    let host = world::serving(100);
    let realm = world::realm(&host);
    let held = realm.lease("request").unwrap();
    assert_eq!(held.call(|realm| realm.figures()).map(|_| ()), Ok(()));
    let published = host.push(world::version(2));
    assert_eq!(published.migrated.unwrap().attempts, 1);

    assert_eq!(held.call(|realm| realm.schema()), Ok(1), "a method without state goes on");
    let superseded = held.call(|realm| realm.figures()).unwrap_err();
    assert!(
        matches!(&superseded, CallError::Superseded { version, .. } if version == "1001"),
        "{superseded}"
    );
    drop(held);
    let next: Lease<dyn Realm> = realm.lease("request").unwrap();
    assert_eq!(next.call(|realm| realm.figures()).map(|_| ()), Ok(()));
    assert_eq!(next.call(|realm| realm.schema()), Ok(2));
}

#[test]
fn calls_through_leases_one_after_the_other_do_not_keep_a_hand_over_from_its_moment() {
    // Longer than each of the calls, by far.
    let patience = Duration::from_secs(5);
    let host =
        Host::of::<dyn Realm>(|builder, _| builder.pause_max(patience).hand_over_deadline(4 * patience));
    host.push(world::version(1));
    let realm = world::realm(&host);
    realm.call(|realm| realm.fill(0, 100)).unwrap();
    let (ends, inside) = (AtomicBool::new(false), AtomicUsize::new(0));
    let call_on_and_on = || {
        let mut held = realm.lease("request").unwrap();
        while !ends.load(Ordering::Relaxed) {
            let called = held.call(|realm| {
                let figures = realm.figures();
                inside.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
                inside.fetch_sub(1, Ordering::Relaxed);
                figures
            });
            match called {
                Ok(_) => {}
                Err(CallError::Superseded { .. }) => held = realm.lease("request").unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call_on_and_on)).collect();
        wait_until("they are inside", || inside.load(Ordering::Relaxed) > 2);
        let published = host.engine.push(world::version(2));
        ends.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let PushOutcome::Published(published) = published.unwrap() else { panic!("it is published") };
        assert_eq!(published.migrated.unwrap().attempts, 1);
    });
    assert_eq!(world::schema(&host), 2);
}

#[test]
fn there_is_no_lease_without_a_version() {
    let host = Host::new();
    let none = CallError::NoActiveVersion { module: "logic".into() };
    assert_eq!(host.game().lease("request").unwrap_err(), none);
    assert!(host.game().try_lease("request").is_none());
    host.push(logic("1001"));
    assert_eq!(version(&host.game().try_lease("request").unwrap()), "1001");
}

#[test]
fn leases_that_last_are_logged_by_name_and_count() {
    let log = Log::of_this_process();
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_millis(20)));
    // Numbers that no other test uses: the log is that of the whole process.
    let push = |number| {
        host.push(Patched::of(logic("1001")).version(number).write(host.folder(), number));
    };
    push("5001");
    let held = ["feed", "feed", "report"].map(|name| lease(&host, name));
    push("5002");
    host.commit();
    let is_told = |holders: &str| {
        let records = log.records().into_iter();
        records.into_iter().any(|it| it.text("version") == "5001" && it.text("holders") == holders)
    };
    wait_until("it's logged", || is_told("feed (2 times), report"));
    assert_eq!(host.retired("5001").unwrap().state, "draining");
    drop(held);
    host.wait_until_unmapped("5001");
}

#[test]
fn versions_that_are_leased_count_against_the_bound_and_are_named() {
    let host = Host::with(|builder, _| builder.retained_max(1));
    host.push(logic("1001"));
    let held = lease(&host, "feed");
    host.push(logic("1002"));
    host.push(logic("1003"));
    let next = Patched::of(logic("1003")).version("1004").write(host.folder(), "1004");
    let error = host.refused("too-many-retained", &*next).to_string();
    assert!(error.contains("1001 (held by feed)"), "{error}");
    drop(held);
    host.wait_until_unmapped("1001");
    host.push(&*next);
}

#[test]
fn an_engine_that_ends_waits_for_leases() {
    let host = Host::serving(logic("1001"));
    let (game, held) = (host.game(), lease(&host, "request"));
    let ending = thread::spawn(move || drop(host));
    wait_until("nobody enters any more", || game.call(|game| game.version()).is_err());
    assert_eq!(version(&held), "1001");
    assert!(!ending.is_finished());
    drop(held);
    ending.join().unwrap();
}

#[test]
fn an_engine_that_ends_gives_up_at_the_deadline_and_leaves_the_code_under_the_lease() {
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_millis(20)));
    host.push(logic("1001"));
    let held = lease(&host, "request");
    drop(host);
    assert_eq!(version(&held), "1001");
    assert_eq!(held.call(|game| game.record(1)), Ok(1));
}

/// A thread that comes by settles what it owes to a version that has retired. Through a lease it may come back to it: it
/// must not find thread-locals that are destroyed.
#[test]
fn a_thread_that_has_settled_with_a_retired_version_comes_back_to_it_as_a_new_one() {
    let host = threads::host();
    host.push(threads::candidate(&host, "1"));
    let worker = Worker::new("ada");
    assert_eq!(worker.call(&host, |module| module.own_name()), Ok(None));
    for count in [1, 2] {
        assert_eq!(worker.call(&host, |module| module.count()), Ok(count));
    }
    let module: Module<dyn Threads> = host.module();
    let held = Arc::new(module.lease("request").unwrap());
    threads::replace(&host, "2");
    // It passes by.
    worker.call(&host, |module| module.count()).unwrap();
    let holders = || host.retired("1").unwrap().holders;
    wait_until("the thread has settled", || holders().iter().all(|holder| holder.holds_by == "lease"));

    let again = held.clone();
    let outcome = worker.run(move || again.call(|module| Ok((module.own_name()?, module.count()?))));
    assert_eq!(outcome, Ok((None, 1)), "it counts anew");
    drop(held);
    host.wait_until_unmapped("1");
    worker.end();
}
