//! A panic in logic comes back as a value, and the version goes on serving.

use std::backtrace::Backtrace;
use std::env;
use std::process::Command;
use std::thread;

use liveswap::Push;
use liveswap_state::CallError;
use liveswap_tests::log::{Log, Record};
use liveswap_tests::{Fixture, Host, logic, maps};
use tracing::subscriber::with_default;
use tracing::{Event, Level, Metadata, Subscriber};

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

/// The panics of logic that were logged on this thread during `work`.
fn logged(work: impl FnOnce()) -> Vec<Record> {
    let log = Log::new(Level::ERROR);
    with_default(log.clone(), work);
    log.records().into_iter().filter(|record| record.text("message").starts_with("logic panicked")).collect()
}

/// The panic with this message that was logged anywhere in this process.
#[track_caller]
fn logged_anywhere(message: &str) -> Record {
    let told = format!("logic panicked: {message}");
    let mut records = Log::of_this_process().records();
    records.retain(|record| record.text("message") == told);
    let [record] = &records[..] else { panic!("expected one event, got {records:?}") };
    record.clone()
}

#[test]
fn a_panic_is_logged_once_with_where_it_happened() {
    let host = Host::serving(logic("1001"));
    let mut place = None;
    let records = logged(|| match host.game().call(|game| game.panics("out of cards")).unwrap_err() {
        CallError::Panicked { location, .. } => place = Some(location),
        other => panic!("{other:?}"),
    });
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.level, Level::ERROR);
    assert_eq!(record.text("message"), "logic panicked: out of cards");
    assert_eq!(["module", "version", "method"].map(|field| record.text(field)), ["logic", "1001", "panics"]);
    assert_eq!(Some(record.text("location")), place.as_deref(), "as in the error");
    assert!(["hook", "thread"].iter().all(|field| !record.fields.contains_key(*field)), "{record:?}");
}

#[test]
fn a_panic_that_logic_catches_itself_is_logged_too() {
    let host = Host::serving(logic("1001"));
    let records = logged(|| host.game().call(|game| game.catches_a_panic("bust")).unwrap());
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(
        ["message", "method"].map(|field| record.text(field)),
        ["logic panicked: bust", "catches_a_panic"]
    );
}

#[test]
fn a_panic_on_a_thread_of_logic_is_logged_with_the_thread_s_name() {
    Log::of_this_process();
    let host = Host::serving(logic("1001"));
    host.game().call(|game| game.panics_on_a_thread("dealer", "no more cards")).unwrap();
    let record = logged_anywhere("no more cards");
    assert_eq!(["version", "thread"].map(|field| record.text(field)), ["1001", "dealer"]);
    assert!(["hook", "method"].iter().all(|field| !record.fields.contains_key(*field)), "{record:?}");
}

#[test]
fn a_panic_in_a_hook_is_logged_with_the_hook_s_name() {
    Log::of_this_process();
    for (hook, feature, message) in
        [("prepare", "prepare-panics", "not like this"), ("create", "create-panics", "no world today")]
    {
        let host = Host::new();
        host.refused("prepare-panicked", Fixture::new("1001").feature(feature).build());
        let record = logged_anywhere(message);
        assert_eq!(["module", "hook"].map(|field| record.text(field)), ["logic", hook]);
        assert!(!record.fields.contains_key("method"), "{record:?}");
    }
}

#[test]
fn logic_that_replaces_the_panic_hook_is_told_instead_of_the_host() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    game.call(|game| game.silences_panics()).unwrap();
    let records = logged(|| match game.call(|game| game.panics("hush")).unwrap_err() {
        CallError::Panicked { message, location, .. } => {
            assert_eq!([message, location], ["hush", "unknown place"]);
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(records, []);
}

/// Panics at each event.
struct Faulty;

impl Subscriber for Faulty {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, _: &Event<'_>) {
        panic!("a subscriber's own fault");
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_subscriber_that_panics_does_not_take_the_call_along() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let error = with_default(Faulty, || game.call(|game| game.panics("logic's own fault")).unwrap_err());
    let CallError::Panicked { message, .. } = error else { panic!("{error:?}") };
    assert_eq!(message, "logic's own fault");
    assert_eq!(game.call(|game| game.hit(1)), Ok(1));
}

/// Set in the processes that the tests below start: each itself, for itself alone.
const ALONE: &str = "LIVESWAP_TEST_ALONE";

/// Runs a test again, in a process of its own; what was printed there. Nothing in that process itself.
fn run_alone(test: &str, backtrace: &str) -> Option<String> {
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "yes")
        .env("RUST_BACKTRACE", backtrace)
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{printed:?}");
    Some(printed.concat())
}

#[test]
fn nothing_is_printed_by_the_library() {
    if let Some(printed) = run_alone("nothing_is_printed_by_the_library", "1") {
        assert!(!printed.contains("said by nobody else"), "{printed}");
        return;
    }
    let host = Host::serving(logic("1001"));
    let error = host.game().call(|game| game.panics("said by nobody else")).unwrap_err();
    assert!(matches!(error, CallError::Panicked { .. }));
}

#[test]
fn there_is_no_backtrace_unless_it_is_asked_for() {
    if run_alone("there_is_no_backtrace_unless_it_is_asked_for", "0").is_some() {
        return;
    }
    let host = Host::serving(logic("1001"));
    let records = logged(|| drop(host.game().call(|game| game.panics("text")).unwrap_err()));
    assert!(!records[0].fields.contains_key("backtrace"), "{records:?}");
}

#[test]
fn a_backtrace_names_the_functions_and_lines_of_logic_and_host() {
    if run_alone("a_backtrace_names_the_functions_and_lines_of_logic_and_host", "1").is_some() {
        return;
    }
    // The standard library's symbolizer lists the libraries now, and not again.
    assert!(!Backtrace::force_capture().to_string().is_empty());
    let host = Host::new();
    for version in ["1001", "1002", "1003"] {
        host.push(Fixture::new(version).with_symbols().build());
        let records = logged(|| drop(host.game().call(|game| game.panics("text")).unwrap_err()));
        let (backtrace, location) = (records[0].text("backtrace"), records[0].text("location"));
        let method = "<fixture_logic::GameV1 as fixture_api::GameLogic>::panics\n             at ";
        let place = backtrace.split_once(method).unwrap_or_else(|| panic!("{backtrace}")).1;
        assert!(place.lines().next().unwrap().ends_with(location), "{backtrace}");
        assert!(place.contains("panics::a_backtrace_names_the_functions"), "{backtrace}");
        assert!(!backtrace.contains("panicked"), "how it came to be logged says nothing: {backtrace}");
    }
}

#[test]
fn a_backtrace_gives_addresses_in_a_library_without_symbols() {
    if run_alone("a_backtrace_gives_addresses_in_a_library_without_symbols", "1").is_some() {
        return;
    }
    let host = Host::serving(logic("1001"));
    let library = host.mapped().pop_first().unwrap();
    let records = logged(|| drop(host.game().call(|game| game.panics("text")).unwrap_err()));
    let backtrace = records[0].text("backtrace");
    assert!(backtrace.contains(&format!("{}+0x", library.display())), "{backtrace}");
}

#[test]
fn backtraces_leave_nothing_mapped_and_memory_does_not_grow() {
    const WARM_UP: usize = 50;
    const SWAPS: usize = 200;
    if run_alone("backtraces_leave_nothing_mapped_and_memory_does_not_grow", "1").is_some() {
        return;
    }
    let versions = ["1001", "1002"].map(|version| Fixture::new(version).with_symbols().build());
    let host = Host::serving(&versions[0]);
    let game = host.game();
    let swap = |number: usize| {
        host.push(Push::file(&versions[number % 2]).allow_older());
        let records = logged(|| drop(game.call(|game| game.panics("text")).unwrap_err()));
        assert!(records[0].text("backtrace").contains("fixture_logic"), "{records:?}");
    };
    (1..=WARM_UP).for_each(swap);
    host.wait_until_mapped(2);
    let before = maps::resident();
    (WARM_UP + 1..=WARM_UP + SWAPS).for_each(swap);
    // Not even a file that is only read.
    host.wait_until_mapped(2);
    let grown = maps::resident().saturating_sub(before);
    assert!(grown <= SWAPS * 1024, "{grown} bytes more after {SWAPS} swaps");
}
