//! Sets whose members call each other: logic that is called by logic is of the same generation.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use fixture_api::links::{How, Link};
use liveswap::{Module, Push};
use liveswap_tests::links::{CHAIN, Links, NET, to};
use liveswap_tests::sets::{SET, next, swaps};
use liveswap_tests::{Fixture, comes_true};

const CALLERS: u64 = 3;

fn first(module: &'static str) -> Push {
    Fixture::link(module, "1001").build().into()
}

/// Version 1002, with a state of another shape.
fn reshaped(module: &'static str) -> Push {
    Fixture::link(module, "1002").feature("schema-2").build().into()
}

/// One request, which is a single call of the host's; the rest of the way is taken by logic. Gives the version of all that
/// were passed.
fn request(chain: &Module<dyn Link>, net: &Module<dyn Link>, seed: u64) -> String {
    // Who holds a state goes on to `chain` only, so that nobody waits for each other.
    let (module, way) = match seed % 3 {
        0 => (net, vec![to(CHAIN, How::Alone)]),
        1 => (net, vec![to(CHAIN, How::Shared), to(NET, How::Stateless), to(CHAIN, How::Stateless)]),
        _ => (chain, vec![to(NET, How::Stateless), to(CHAIN, How::Shared), to(NET, How::Stateless)]),
    };
    let holds_no_state = seed % 3 == 2;
    let passed = match (seed >> 8) % 3 {
        0 if !holds_no_state => module.call(|module| module.pass_alone(way.clone())),
        1 if !holds_no_state => module.call(|module| module.pass_shared(way.clone())),
        _ => module.call(|module| module.pass(way.clone())),
    };
    let passed = passed.expect("no call fails").expect("nor does one from module to module");
    assert_eq!(passed.len(), way.len() + 1);
    let mut versions = passed.iter().map(|passed| passed.split_once(' ').expect("a name and a version").1);
    let version = versions.next().expect("one is passed at least").to_owned();
    assert!(versions.all(|other| other == version), "a request sees old and new ones: {passed:?}");
    version
}

/// P4.7, with states in both modules that take another shape each time.
#[test]
fn p4_07_a_set_swapped_as_one_under_load_is_one_to_logic_that_calls_logic() {
    let swaps = swaps();
    let members = [CHAIN, NET];
    let host = Links::serving_with(|builder| {
        builder.set(SET, members).pause_max(Duration::from_millis(20)).retained_max(64)
    });
    let push = |candidates: [Push; 2]| {
        let pushed = host.engine.push_set(SET, candidates);
        pushed.unwrap_or_else(|error| panic!("expected a publish, got {error}"));
    };
    // So that all can be taken back as one.
    push(members.map(reshaped));
    let is_over = AtomicBool::new(false);
    let requests = AtomicUsize::new(0);
    let seen = Mutex::new([0; 2]);
    thread::scope(|scope| {
        for seed in 1..=CALLERS {
            let (chain, net) = (host.module(CHAIN), host.module(NET));
            let (is_over, requests, seen) = (&is_over, &requests, &seen);
            scope.spawn(move || {
                let mut seed = seed * 0x9E37_79B9;
                while !is_over.load(Ordering::Relaxed) {
                    let version = request(&chain, &net, next(&mut seed));
                    seen.lock().unwrap()[usize::from(version == "1002")] += 1;
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..swaps {
            // One request at least sees each generation of the set.
            let before = requests.load(Ordering::Relaxed);
            assert!(comes_true(|| requests.load(Ordering::Relaxed) > before));
            match swap % 4 {
                0 | 2 => push(members.map(|module| first(module).allow_older())),
                1 => push(members.map(reshaped)),
                _ => drop(host.engine.rollback(members[swap / 4 % 2]).expect("all are rolled back")),
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let seen = *seen.lock().unwrap();
    assert!(seen.iter().all(|count| *count > 0), "requests were made on both: {seen:?}");
    let active_and_standby = 2 * members.len();
    host.wait_until_mapped(active_and_standby);
}
