//! Calls from one module into another, through the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fixture_api::Latch;
use fixture_api::links::{How, Step, Wanted};
use liveswap::CallError;
use liveswap_tests::links::{CHAIN, Links, NET, to};
use liveswap_tests::log::Log;
use liveswap_tests::{Fixture, alone, wait_until};

fn passed(names: &[&str]) -> Result<Vec<String>, String> {
    Ok(names.iter().map(|name| format!("{name} 1001")).collect())
}

#[test]
fn p3_02_logic_calls_another_module_through_the_host_whatever_the_calls_do_to_the_states() {
    let host = Links::serving();
    let net = host.module(NET);
    for how in [How::Stateless, How::Shared, How::Alone] {
        let way = vec![to(CHAIN, how)];
        assert_eq!(net.call(|net| net.pass(way.clone())), Ok(passed(&["net", "chain"])));
        assert_eq!(net.call(|net| net.pass_shared(way.clone())), Ok(passed(&["net", "chain"])));
        assert_eq!(net.call(|net| net.pass_alone(way.clone())), Ok(passed(&["net", "chain"])));
    }
    let counted = net.call(|net| net.count_elsewhere(CHAIN, 3)).unwrap().unwrap();
    assert_eq!((counted.count, counted.twice), (3, 6));
    assert_eq!(host.module(CHAIN).call(|chain| chain.counted()).unwrap(), counted);
}

/// The library has what it needs from the C library alone: nothing of the host is resolved by the linker.
#[test]
fn p3_02_a_library_that_calls_the_host_is_linked_against_none_of_its_symbols() {
    let library = std::fs::read(Fixture::link(NET, "1001").build()).unwrap();
    let file = object::File::parse(&*library).unwrap();
    use object::{Object, ObjectSymbol};
    let undefined: Vec<_> = file.dynamic_symbols().filter(|symbol| symbol.is_undefined()).collect();
    assert!(!undefined.is_empty());
    let ours: Vec<_> =
        undefined.iter().filter_map(|symbol| symbol.name().ok()).filter(|n| n.contains("liveswap")).collect();
    assert_eq!(ours, [""; 0]);
}

/// Printing is the process's own; what logs comes to the host's subscriber.
#[test]
fn p3_02_logic_that_another_module_has_called_logs_to_the_host() {
    let log = Log::of_this_process();
    let host = Links::serving();
    let way = vec![to(CHAIN, How::Shared), Step::Panic];
    let answer = host.module(NET).call(|net| net.pass_shared(way)).unwrap();
    assert!(answer.unwrap_err().contains("module `chain` version 1001 panicked in `pass_shared`"));
    let is_told = || {
        log.records()
            .iter()
            .any(|record| record.text("module") == CHAIN && record.text("method") == "pass_shared")
    };
    wait_until("the host's log says which module it was", is_told);
}

#[test]
fn what_cant_be_reached_is_a_typed_error_that_says_what_was_found_and_expected() {
    let host = Links::serving();
    let look = |module: &str, wanted| host.module(NET).call(|net| net.looks_for(module, wanted)).unwrap();
    assert_eq!(look(CHAIN, Wanted::Link), Ok(()));
    let unknown = "unable to find module: cellar: the host has `chain`, `net`";
    assert_eq!(look("cellar", Wanted::Link), Err(unknown.to_owned()));
    let other = look(CHAIN, Wanted::Chat).unwrap_err();
    assert!(other.contains("found `Chat`, expected `Link`"), "{other}");
    let shorter = look(CHAIN, Wanted::Shorter).unwrap_err();
    assert!(
        shorter.contains("found `Link` with no method at place 1, expected `Link` with `count`"),
        "{shorter}"
    );
}

#[test]
fn a_module_without_a_version_is_a_call_error_for_whoever_calls_it() {
    let host = Links::with(|builder, _| builder);
    host.push(Fixture::link(NET, "1001").build());
    let answer = host.module(NET).call(|net| net.pass(vec![to(CHAIN, How::Stateless)])).unwrap();
    assert_eq!(answer, Err(CallError::NoActiveVersion { module: CHAIN.to_owned() }.to_string()));
}

#[test]
fn a_panic_of_the_callee_is_an_error_for_the_caller_which_serves_on() {
    let host = Links::serving();
    let net = host.module(NET);
    let answer = net.call(|net| net.pass_alone(vec![to(CHAIN, How::Shared), Step::Panic])).unwrap();
    assert!(answer.unwrap_err().contains("on the way"));
    assert_eq!(net.call(|net| net.pass_alone(vec![to(CHAIN, How::Alone)])), Ok(passed(&["net", "chain"])));
}

#[test]
fn a_module_that_calls_itself_back_through_another_follows_the_rules_of_a_nested_call() {
    let host = Links::serving();
    let (net, chain) = (host.module(NET), host.module(CHAIN));
    let back = |there, back| vec![to(CHAIN, there), to(NET, back)];
    let all = passed(&["net", "chain", "net"]);
    assert_eq!(net.call(|net| net.pass_shared(back(How::Shared, How::Shared))), Ok(all.clone()));
    assert_eq!(net.call(|net| net.pass(back(How::Alone, How::Alone))), Ok(all.clone()));
    assert_eq!(net.call(|net| net.pass_alone(back(How::Alone, How::Stateless))), Ok(all));

    let reentrant = |method: &str| {
        Ok(Err(CallError::Reentrant { module: NET.to_owned(), method: method.to_owned() }.to_string()))
    };
    assert_eq!(net.call(|net| net.pass_alone(back(How::Shared, How::Shared))), reentrant("pass_shared"));
    assert_eq!(net.call(|net| net.pass_shared(back(How::Shared, How::Alone))), reentrant("pass_alone"));
    // Nothing is left held.
    assert_eq!(net.call(|net| net.count(1)), Ok(1));
    assert_eq!(chain.call(|chain| chain.count(1)), Ok(1));
}

/// Each has its own state alone, and wants the other's.
#[test]
fn calls_that_would_wait_for_each_other_for_ever_are_refused_to_one_of_them() {
    alone::check(|| {
        let host = Links::serving();
        for round in 0..20 {
            let latches = [Arc::new(Latch::default()), Arc::new(Latch::default())];
            let how = if round % 2 == 0 { How::Alone } else { How::Shared };
            let [there, back] = [(CHAIN, NET, 0), (NET, CHAIN, 1)].map(|(from, on, latch)| {
                let module = host.module(from);
                let way = vec![Step::Stay(latches[latch].clone()), to(on, how)];
                thread::spawn(move || module.call(|module| module.pass_alone(way)).unwrap())
            });
            wait_until("both have their own state", || latches.iter().all(|latch| latch.is_entered()));
            latches.iter().for_each(|latch| latch.release());
            let answers = [there.join().unwrap(), back.join().unwrap()];
            let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
            assert_eq!(refused.len(), 1, "{answers:?}");
            assert!(refused[0].contains("would wait for each other's"), "{answers:?}");
        }
    });
}

#[test]
fn a_unit_of_work_in_another_module_is_on_one_version_from_its_first_call_to_its_last() {
    let host = Links::serving();
    let latch = Arc::new(Latch::default());
    let (net, held) = (host.module(NET), latch.clone());
    let call = thread::spawn(move || net.call(|net| net.asks_twice(CHAIN, &held)).unwrap());
    wait_until("it is inside", || latch.is_entered());
    host.push_version(CHAIN, "1002");
    assert_eq!(host.module(CHAIN).call(|chain| chain.version()).unwrap(), "1002");
    let status = host.status(CHAIN);
    let holders = status.standby.unwrap().holders;
    assert_eq!(holders.len(), 1, "the caller of another module holds the version that it is in: {holders:?}");

    latch.release();
    assert_eq!(call.join().unwrap(), Ok(("1001".to_owned(), "1001".to_owned())));
    let again = Arc::new(Latch::default());
    again.release();
    let after = host.module(NET).call(|net| net.asks_twice(CHAIN, &again)).unwrap();
    assert_eq!(after, Ok(("1002".to_owned(), "1002".to_owned())));
    host.engine.commit(CHAIN).unwrap();
    host.wait_until_mapped(2);
}

/// How often a module is swapped while its dependents call it.
const SWAPS: u64 = 300;

#[test]
fn p4_07_a_module_is_swapped_while_its_dependents_call_it_and_nothing_fails_and_no_queued_work_is_lost() {
    let host = Links::with(|builder, _| builder.retained_max(usize::MAX));
    for module in [CHAIN, NET] {
        host.push(Fixture::link(module, "1001").build());
    }
    let (stop, counted) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for caller in 0..3 {
            let (net, chain) = (host.module(NET), host.module(CHAIN));
            let (stop, counted) = (&stop, &counted);
            scope.spawn(move || {
                let mut seen = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let answer = net.call(|net| net.count_elsewhere(CHAIN, 1)).unwrap().unwrap();
                    assert_eq!(answer.twice, 2 * answer.count, "a torn answer");
                    let now = (answer.version.parse::<u64>().unwrap(), answer.count);
                    assert!(now.0 >= seen.0 && now.1 > seen.1, "from {seen:?} back to {now:?}");
                    seen = now;
                    let later =
                        if caller == 0 { chain.call(|chain| chain.count_later(2)).unwrap() } else { 0 };
                    counted.fetch_add(1 + later, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..SWAPS {
            host.push_version(CHAIN, &(1002 + swap).to_string());
        }
        stop.store(true, Ordering::Relaxed);
    });
    let expected = counted.load(Ordering::Relaxed);
    let count = || host.module(CHAIN).call(|chain| chain.counted()).unwrap().count;
    wait_until("all that was queued has run", || count() == expected);
    assert_eq!(count(), expected);
    assert_eq!(host.module(CHAIN).call(|chain| chain.version()).unwrap(), (1001 + SWAPS).to_string());
    host.engine.commit(CHAIN).unwrap();
    host.wait_until_mapped(2);
}
