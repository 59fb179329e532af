//! A panic in logic comes back as a value, and the version goes on serving.

use std::env;
use std::process::Command;
use std::thread;

use liveswap_state::CallError;
use liveswap_tests::{Host, logic};

#[test]
fn a_panic_is_an_error_that_says_where_and_why() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let error = game.call(|game| game.panics("out of cards")).unwrap_err();
    let CallError::Panicked { module, version, method, message, location } = &error else {
        panic!("{error:?}")
    };
    assert_eq!([module, version, method, message], ["logic", "1001", "panics", "out of cards"]);
    let (file, place) = location.split_once(':').unwrap();
    assert!(file.ends_with("tests/fixtures/logic/src/lib.rs"), "{location}");
    assert!(place.split(':').all(|number| number.parse::<u32>().is_ok_and(|number| number > 0)), "{place}");
    for part in ["`logic`", "1001", "`panics`", "out of cards", location] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(game.call(|game| game.hit(1)), Ok(1), "the next call works");
}

#[test]
fn the_version_in_the_error_is_the_one_that_panicked() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let old = game.enter().unwrap();
    host.push(logic("1002"));
    let versions = [
        old.panics("old").unwrap_err(),
        thread::scope(|scope| {
            scope.spawn(|| game.call(|game| game.panics("new")).unwrap_err()).join().unwrap()
        }),
    ]
    .map(|error| match error {
        CallError::Panicked { version, message, .. } => (version, message),
        other => panic!("{other:?}"),
    });
    assert_eq!(versions, [("1001", "old"), ("1002", "new")].map(|(v, m)| (v.to_owned(), m.to_owned())));
}

#[test]
fn a_payload_that_is_no_text_is_said_to_be_none() {
    let host = Host::serving(logic("1001"));
    let error = host.game().call(|game| game.panics_with_a_number()).unwrap_err();
    let CallError::Panicked { method, message, .. } = error else { panic!("{error:?}") };
    assert_eq!((method.as_str(), message.as_str()), ("panics_with_a_number", "a payload that isn't text"));
    assert_eq!(host.version(), "1001");
}

#[test]
fn a_panic_within_an_exclusive_call_gives_the_state_back() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let error = game.call(|game| game.panics_exclusively("half way")).unwrap_err();
    assert!(matches!(error, CallError::Panicked { .. }), "{error:?}");
    let other = game.clone();
    let elsewhere = thread::spawn(move || other.call(|game| game.record(1)));
    assert_eq!(elsewhere.join().unwrap(), Ok(2), "what was written before the panic is written");
    assert_eq!(game.call(|game| game.totals()).unwrap().recorded, 2);
}

#[test]
fn after_a_panic_a_guard_still_works_and_the_version_still_leaves_memory() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let guard = game.enter().unwrap();
    for _ in 0..3 {
        guard.panics("again").unwrap_err();
        assert_eq!(guard.version(), Ok("1001".to_owned()));
    }
    drop(guard);
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
}

#[test]
fn p1_11_panics_on_many_threads_at_once_don_t_mix() {
    let host = Host::serving(logic("1001"));
    let panic_often = |number: usize| {
        let game = host.game();
        for round in 0..100 {
            let expected = format!("{number} {round}");
            let error = game.call(|game| game.panics(&expected)).unwrap_err();
            let CallError::Panicked { message, .. } = error else { panic!("{error:?}") };
            assert_eq!(message, expected);
        }
    };
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || panic_often(number));
        }
    });
}

/// Set in the process that the test below starts: itself, for that test alone.
const ALONE: &str = "LIVESWAP_TEST_ALONE";

#[test]
fn nothing_is_printed_by_the_library() {
    if env::var_os(ALONE).is_some() {
        let host = Host::serving(logic("1001"));
        let error = host.game().call(|game| game.panics("said by nobody else")).unwrap_err();
        assert!(matches!(error, CallError::Panicked { .. }));
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nothing_is_printed_by_the_library", "--nocapture"])
        .env(ALONE, "yes")
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    assert!(output.status.success());
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(printed.iter().all(|text| !text.contains("said by nobody else")), "{printed:?}");
}
