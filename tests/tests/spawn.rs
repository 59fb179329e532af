//! Calls that logic spawns: the host makes them, later, and until then they hold nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fixture_api::{Errand, Latch, Task};
use liveswap::status::Holder;
use liveswap_state::{Lane, SpawnError};
use liveswap_tests::host::MODULE;
use liveswap_tests::log::{Log, Record, Value};
use liveswap_tests::{Fixture, Host, logic, maps, wait_until};

/// A host on which so many spawned calls run at once, and so many wait.
fn bounded(running: usize, waiting: usize) -> Host {
    Host::with(|builder, _| builder.spawned_running_max(running).spawned_waiting_max(waiting))
}

/// Has the active version spawn something; the error's text if it's refused.
fn spawn(host: &Host, task: Task) -> Result<(), String> {
    host.game().call(|game| game.spawn(task)).expect("there is an active version")
}

/// Has the active version spawn a call that stays until it's released.
#[track_caller]
fn spawn_errand(host: &Host) -> Arc<Errand> {
    let errand = Arc::new(Errand::default());
    assert_eq!(spawn(host, Task::Errand(errand.clone())), Ok(()));
    errand
}

/// The same, and returns when it is inside.
#[track_caller]
fn run_errand(host: &Host) -> Arc<Errand> {
    let errand = spawn_errand(host);
    wait_until("the errand is inside", || errand.latch.is_entered());
    errand
}

/// Lets the call return, and waits until nothing of it is left. Returns the version that it ran on.
#[track_caller]
fn release(errand: &Arc<Errand>) -> String {
    errand.latch.release();
    wait_until("the errand is over", || Arc::strong_count(errand) == 1);
    errand.ran_on.get().expect("it has run").clone()
}

fn recorded(host: &Host) -> u64 {
    host.game().call(|game| game.totals()).expect("there is an active version").recorded
}

/// Who is inside the active version.
fn holders(host: &Host) -> Vec<Holder> {
    host.status().active.expect("there is an active version").holders
}

fn is_task(id: i32) -> bool {
    PathBuf::from(format!("/proc/self/task/{id}")).exists()
}

#[test]
fn a_spawned_call_holds_no_version_while_it_waits_and_runs_on_the_one_that_is_active_when_it_starts() {
    let host = bounded(1, 1);
    host.push(logic("1001"));
    let first = run_errand(&host);
    host.push(logic("1002"));
    let second = spawn_errand(&host);
    host.push(logic("1003"));
    host.commit();
    // 1002 has spawned a call that waits, and nothing of 1002 is left.
    host.wait_until_unmapped("1002");
    assert_eq!((Arc::strong_count(&second), second.latch.is_entered()), (2, false));

    assert_eq!(release(&first), "1001");
    wait_until("the second is inside", || second.latch.is_entered());
    assert_eq!(release(&second), "1003");
    host.wait_until_unmapped("1001");
}

#[test]
fn a_spawned_call_that_runs_holds_its_version_under_the_name_of_module_and_method() {
    let host = Host::serving(logic("1001"));
    let errand = run_errand(&host);
    host.push(logic("1002"));
    host.commit();

    let retired = host.retired("1001").unwrap();
    let [holder] = &retired.holders[..] else { panic!("{:?}", retired.holders) };
    assert_eq!((holder.thread.as_str(), holder.method), ("logic.run", Some("run")));
    assert_eq!((retired.state, host.mapped().len()), ("draining", 2));
    assert_eq!(release(&errand), "1001");
    host.wait_until_unmapped("1001");
    wait_until("its thread has ended", || !is_task(holder.thread_id));
}

#[test]
fn beyond_the_bound_a_spawn_is_refused_and_its_arguments_are_freed() {
    let host = bounded(1, 1);
    host.push(logic("1001"));
    let first = run_errand(&host);
    let second = spawn_errand(&host);
    let third = Arc::new(Errand::default());
    let refused = spawn(&host, Task::Errand(third.clone()));
    assert_eq!(refused, Err(SpawnError::Full { running: 1, waiting: 1, lane: Lane::Normal }.to_string()));
    assert_eq!(Arc::strong_count(&third), 1);

    release(&first);
    release(&second);
    // Over, for whoever counts its arguments, is a moment before its place is free.
    wait_until("there is room", || spawn(&host, Task::Errand(third.clone())).is_ok());
    release(&third);
}

#[test]
fn every_call_that_was_taken_over_is_made_once() {
    let host = bounded(3, 1000);
    host.push(logic("1001"));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(spawn(&host, Task::Record(1)), Ok(()))));
        }
    });
    wait_until("all have run", || recorded(&host) == 400 && holders(&host).is_empty());
    assert_eq!(recorded(&host), 400);
}

#[test]
fn a_method_that_the_host_does_not_know_is_refused_and_its_arguments_are_freed() {
    let host = Host::serving(Fixture::new("1001").feature("extra-method").build());
    let errand = Arc::new(Errand::default());
    let refused = spawn(&host, Task::Bonus(errand.clone()));
    let expected = SpawnError::UnknownMethod { module: MODULE.to_owned(), method: "bonus".to_owned() };
    assert_eq!(refused, Err(expected.to_string()));
    assert_eq!(Arc::strong_count(&errand), 1);

    // The same method is at another place in each of the two interfaces.
    assert_eq!(release(&run_errand(&host)), "1001");
    assert_eq!(spawn(&host, Task::Record(7)), Ok(()));
    wait_until("it has run", || recorded(&host) == 7);
}

#[test]
fn a_panic_in_a_spawned_call_is_logged_and_the_next_one_runs() {
    let log = Log::of_this_process();
    let host = bounded(1, 2);
    host.push(logic("1001"));
    let first = run_errand(&host);
    assert_eq!(spawn(&host, Task::Panic), Ok(()));
    assert_eq!(spawn(&host, Task::Record(7)), Ok(()));
    release(&first);
    wait_until("the last has run", || recorded(&host) == 7);

    let method = |record: &Record| record.text("method") == "panics_with_a_number";
    let failed = |record: &Record| record.text("message").starts_with("a spawned call failed");
    let records: Vec<_> = log.records().into_iter().filter(|r| method(r) && failed(r)).collect();
    let [record] = &records[..] else { panic!("{records:?}") };
    assert_eq!((record.level, record.text("module")), (tracing::Level::WARN, MODULE));
    assert_eq!(record.thread, "logic.panics_with_a_number");
    assert!(record.text("message").contains("a payload that isn't text"), "{record:?}");
}

#[test]
fn what_an_exclusive_call_spawns_waits_for_its_turn() {
    let host = Host::serving(logic("1001"));
    let latch = Arc::new(Latch::default());
    let (game, held) = (host.game(), latch.clone());
    let call = thread::spawn(move || game.call(|game| game.spawn_exclusively(Task::Record(7), &held)));
    // The call that was spawned enters its version, and waits there until it may have the state.
    wait_until("both are inside", || latch.is_entered() && holders(&host).len() == 2);
    assert!(!call.is_finished());
    latch.release();
    assert_eq!(call.join().unwrap(), Ok(Ok(())));
    wait_until("it has run", || recorded(&host) == 7);
}

#[test]
fn what_is_spawned_in_one_engine_runs_in_that_engine() {
    let hosts = [Host::serving(logic("1001")), Host::serving(logic("1001"))];
    for (host, points) in hosts.iter().zip([1, 2]) {
        assert_eq!(spawn(host, Task::Record(points)), Ok(()));
    }
    wait_until("both have run", || hosts.each_ref().map(recorded) == [1, 2]);
}

#[test]
fn an_engine_that_ends_drops_what_waits_and_waits_for_what_runs() {
    let log = Log::of_this_process();
    let host = bounded(1, 3);
    host.push(logic("1001"));
    let running = run_errand(&host);
    let thread = holders(&host)[0].thread_id;
    let waiting = [spawn_errand(&host), spawn_errand(&host), spawn_errand(&host)];
    let ending = thread::spawn(move || drop(host));
    wait_until("what waits is dropped", || waiting.iter().all(|errand| Arc::strong_count(errand) == 1));
    let dropped = |record: &Record| {
        record.text("message").starts_with("dropped spawned calls that were waiting")
            && record.fields.get("count") == Some(&Value::Unsigned(3))
    };
    wait_until("that is logged", || log.records().iter().any(dropped));
    assert!(!ending.is_finished(), "a call is still inside");

    assert_eq!(release(&running), "1001");
    ending.join().unwrap();
    wait_until("its thread has ended", || !is_task(thread));
    assert!(waiting.iter().all(|errand| errand.ran_on.get().is_none()), "dropped, and not run");
}

#[test]
fn an_engine_that_ends_gives_up_at_the_deadline_and_leaves_the_code_under_a_spawned_call() {
    let host = Host::with(|builder, _| builder.drain_deadline(Duration::from_millis(20)));
    host.push(logic("1001"));
    let library = host.mapped().pop_first().unwrap();
    let running = run_errand(&host);
    let thread = holders(&host)[0].thread_id;
    drop(host);
    assert!(maps::mapped(library.parent().unwrap()).contains(&library));
    assert_eq!(release(&running), "1001");
    wait_until("its thread has ended", || !is_task(thread));
}
