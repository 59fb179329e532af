//! What modules put out: the host can tell whose it is, and no line is mixed with another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use liveswap_tests::log::Log;
use liveswap_tests::work::{SECOND, candidate, second, second_work, serving, serving_two, work};
use liveswap_tests::{Host, alone};
use tracing::Level;
use tracing::subscriber::with_default;

/// How many lines each thread has put out, and how many threads of each module there are.
const LINES: u64 = 50;
const THREADS: usize = 3;

#[test]
fn p2_07_a_modules_output_can_be_told_from_anothers() {
    let told: Arc<Mutex<Vec<[String; 3]>>> = Arc::default();
    let telling = told.clone();
    let host = serving_two(|builder| {
        builder.on_output(move |output| {
            let output = [output.module, output.version, output.text].map(str::to_owned);
            telling.lock().unwrap().push(output);
        })
    });
    let (first, other) = (work(&host), second_work(&host));
    first.call(|work| work.say("hello")).unwrap();
    other.call(|work| work.say("hello")).unwrap();
    host.push(candidate("1002"));
    host.push(second(host.folder(), "1003"));
    first.call(|work| work.say("two\nlines")).unwrap();
    other.call(|work| work.say("")).unwrap();
    let expected = [
        ["logic", "1001", "hello"],
        ["second", "1001", "hello"],
        ["logic", "1002", "two\nlines"],
        ["second", "1003", ""],
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[test]
fn the_hosts_function_goes_with_the_engine_although_a_thread_keeps_what_it_has_called() {
    let held = Arc::new(());
    let holding = held.clone();
    let host = serving(|builder| {
        builder.on_output(move |_| {
            let _ = &holding;
        })
    });
    let work = work(&host);
    work.call(|work| work.say("hello")).unwrap();
    drop(host);
    // Not called again, by which it would let go.
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn p2_07_on_the_standard_output_each_line_is_whole_and_says_whose_it_is() {
    if alone::purpose().is_some() {
        return chatter(&serving_two(|builder| builder));
    }
    let test = "p2_07_on_the_standard_output_each_line_is_whole_and_says_whose_it_is";
    let output = alone::command(test, "chatter").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8(output.stdout).unwrap();
    // The test's own lines are there as well, perhaps without a line break.
    let lines: Vec<_> = written.lines().filter_map(|line| Some(&line[line.find('[')?..])).collect();
    assert_eq!(lines.len(), 2 * 2 * THREADS * usize::try_from(LINES).unwrap(), "{written}");

    // What is put out at once stays together, and nothing is missing.
    let mut counts = BTreeMap::new();
    for pair in lines.chunks(2) {
        let [says, line] = pair else { panic!("there is an even number of them") };
        let module = if says.starts_with("[logic]") { "logic" } else { SECOND };
        assert_eq!(*says, format!("[{module}] {module} says"));
        *counts.entry(*line).or_insert(0) += 1;
    }
    let expected = ["logic", SECOND].into_iter().flat_map(|module| {
        (0..LINES).map(move |line| format!("[{module}] line {line} of {LINES}, in 2 pieces"))
    });
    let expected: Vec<_> = expected.map(|line| (line, THREADS)).collect();
    let mut found: Vec<_> = counts.into_iter().map(|(line, count)| (line.to_owned(), count)).collect();
    found.sort_by_key(|found| expected.iter().position(|expected| expected == found));
    assert_eq!(found, expected);
}

/// Several threads have both modules put lines out.
fn chatter(host: &Host) {
    let modules = [work(host), second_work(host)];
    thread::scope(|scope| {
        for module in modules.iter().flat_map(|module| [module; THREADS]) {
            scope.spawn(|| module.call(|work| work.chatter(LINES)).unwrap());
        }
    });
}

#[test]
fn a_panic_of_the_hosts_function_is_none_of_the_calls() {
    let host = serving(|builder| builder.on_output(|_| panic!("the host's own fault")));
    assert_eq!(work(&host).call(|work| work.say("hello")), Ok(()));
    assert_eq!(host.slots().0.as_deref(), Some("1001"));
}

#[test]
fn p2_07_log_events_say_which_module_and_version_they_are_of() {
    let host = serving_two(|builder| builder);
    host.push(second(host.folder(), "1002"));
    let log = Log::new(Level::INFO);
    with_default(log.clone(), || {
        work(&host).call(|work| work.log("from the first")).unwrap();
        second_work(&host).call(|work| work.log("from the second")).unwrap();
    });
    let records = log.records();
    let of_logic = records.iter().filter(|record| record.target == "fixture::work");
    let told: Vec<_> =
        of_logic.map(|record| ["module", "version", "text"].map(|field| record.text(field))).collect();
    assert_eq!(told, [["logic", "1001", "from the first"], [SECOND, "1002", "from the second"]]);
}
