//! Events of logic arrive at the host's subscriber, as if they had happened in the host.

use std::collections::BTreeMap;

use liveswap_tests::log::{Log, Record, Value};
use liveswap_tests::{Host, logic};
use tracing::Level;
use tracing::subscriber::with_default;

/// The events of a target that `work` causes on this thread.
fn events(level: Level, target: &str, work: impl FnOnce()) -> Vec<Record> {
    let log = Log::new(level);
    with_default(log.clone(), work);
    log.records().into_iter().filter(|record| record.target == target).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn formatted(text: &str) -> Value {
    Value::Formatted(text.to_owned())
}

#[test]
fn an_event_keeps_its_level_its_target_and_the_types_of_its_fields() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let records = events(Level::INFO, "fixture::game", || game.call(|game| game.logs("héllo")).unwrap());
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!(record.level, Level::INFO);
    let fields = [
        ("module", text("logic")),
        ("version", text("1001")),
        ("signed", Value::Signed(-7)),
        ("unsigned", Value::Unsigned(7)),
        ("float", Value::Float(0.5)),
        ("truth", Value::Truth(true)),
        ("text", text("héllo")),
        ("formatted", formatted("step 1")),
        ("message", formatted("logged")),
    ];
    assert_eq!(record.fields, BTreeMap::from(fields.map(|(name, value)| (name.to_owned(), value))));
}

#[test]
fn the_version_in_an_event_is_the_one_that_caused_it() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let records = events(Level::INFO, "fixture::game", || {
        let guard = game.enter().unwrap();
        guard.logs("old").unwrap();
        host.push(logic("1002"));
        guard.logs("still old").unwrap();
        drop(guard);
        game.call(|game| game.logs("new")).unwrap();
    });
    let told: Vec<_> = records.iter().map(|record| (record.text("version"), record.text("text"))).collect();
    assert_eq!(told, [("1001", "old"), ("1001", "still old"), ("1002", "new")]);
}

#[test]
fn p3_02_the_hooks_of_a_version_can_log_too() {
    let log = Log::of_this_process();
    let host = Host::new();
    // A number of its own: the log is that of the whole process.
    host.push(liveswap_tests::Patched::of(logic("1001")).version("5005").write(host.folder(), "5005"));
    let records = log.records();
    let told: Vec<_> = records
        .iter()
        .filter(|record| record.text("version") == "5005" && record.target == "fixture_logic")
        .map(|record| (record.text("message"), record.thread.as_str()))
        .collect();
    let hooks = ["prepared", "created"];
    assert_eq!(told, hooks.map(|hook| (hook, "liveswap-hook")));
}

#[test]
fn a_level_that_is_not_wanted_costs_no_event_and_no_arguments() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let in_detail = || {
        game.call(|game| game.logs_in_detail("text")).unwrap();
        game.call(|game| game.totals()).unwrap().hits
    };
    let mut made = 0;
    let records = events(Level::INFO, "fixture_logic", || made = in_detail());
    assert_eq!((records.len(), made), (0, 0));
    // What is wanted is asked anew for each event, so the same place can be told apart later.
    let records = events(Level::DEBUG, "fixture_logic", || made = in_detail());
    assert_eq!((records.len(), made), (1, 1));
    assert_eq!((records[0].level, records[0].text("text")), (Level::DEBUG, "text"));
    let records = events(Level::WARN, "fixture::game", || game.call(|game| game.logs("text")).unwrap());
    assert_eq!(records, []);
}

#[test]
fn a_version_that_logged_leaves_memory_and_its_events_stay() {
    let host = Host::serving(logic("1001"));
    let game = host.game();
    let log = Log::new(Level::TRACE);
    with_default(log.clone(), || {
        game.call(|game| game.logs("kept")).unwrap();
        game.call(|game| game.logs_in_detail("kept too")).unwrap();
    });
    host.push(logic("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    let kept: Vec<_> = log.records().iter().map(|record| record.text("text").to_owned()).collect();
    assert!(kept.ends_with(&["kept".to_owned(), "kept too".to_owned()]), "{kept:?}");
    // The subscriber knows places of the library that has gone, and is asked about all of them here.
    tracing::callsite::rebuild_interest_cache();
    with_default(Log::new(Level::TRACE), || game.call(|game| game.logs("on")).unwrap());
}
