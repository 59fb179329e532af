//! Timers and ticks: calls that the host makes at a time, on whichever version is active then.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fixture_api::Errand;
use fixture_api::work::Work;
use liveswap::status::TickStatus;
use liveswap::{Builder, Engine, Module, Pool, SwapStep};
use liveswap_state::{SpawnError, TimerId};
use liveswap_tests::host::MODULE;
use liveswap_tests::log::{Log, Record, Value};
use liveswap_tests::work::{candidate, occupy, release, second_work, serving, serving_two, status, work};
use liveswap_tests::{Fixture, Host, wait_until};

/// In milliseconds: a time that no test waits for.
const HOURS: u64 = 24 * 60 * 60 * 1000;

/// A pool of one thread.
const ONE: Pool = Pool { threads: 1, waiting_max: 10 };

/// How often ticks are due here.
const PERIOD: Duration = Duration::from_millis(1);

/// Has the active version set a timer.
fn set(
    work: &Module<dyn Work>,
    milliseconds: u64,
    errand: &Arc<Errand>,
) -> Result<TimerId, (String, String)> {
    work.call(|work| work.errand_after(milliseconds, errand.clone())).expect("there is an active version")
}

fn cancel(work: &Module<dyn Work>, timer: TimerId) -> bool {
    work.call(|work| work.cancel(timer)).expect("there is an active version")
}

/// What became of the host's one tick.
fn tick(host: &Host) -> TickStatus {
    let [tick] = status(host).ticks[..] else { panic!("there is one") };
    tick
}

#[test]
fn p3_03_a_timer_looks_through_the_folders_and_causes_exactly_one_swap() {
    let host = Host::of::<dyn Work>(|builder, folder| {
        builder.watch(folder.join("modules")).rescan_every(Duration::from_millis(20))
    });
    let (kept, modules) = (host.folder().join("kept"), host.folder().join("modules"));
    fs::create_dir(&kept).unwrap();
    // A new link to a file that was complete before isn't reported by the watched folder.
    let link = |name: &str| fs::hard_link(kept.join(name), modules.join(name)).unwrap();
    fs::copy(candidate("1001"), kept.join("logic.v1001.so")).unwrap();
    fs::write(kept.join("logic.v1002.so"), "not a library").unwrap();
    link("logic.v1001.so");
    wait_until("it is found", || host.slots().0.is_some());

    // It goes on looking, as what it refuses shows, and there is one swap all the same.
    link("logic.v1002.so");
    wait_until("that is found, too", || host.status().swaps.refused == 1);
    let swap = host.status().last_swap.unwrap();
    assert_eq!((swap.from, swap.to.to_string()), (None, "1001".to_owned()));
    assert_eq!(host.slots(), (Some("1001".to_owned()), None));
}

#[test]
fn a_timer_holds_no_version_and_runs_on_the_one_that_is_active_when_it_starts() {
    let host = serving(|builder| builder.pool(MODULE, ONE));
    let work = work(&host);
    let (first, second) = (occupy(&work), Arc::new(Errand::default()));
    host.push(candidate("1002"));
    set(&work, 0, &second).unwrap();
    // It's due, and waits until the one thread of the pool has time.
    wait_until("it is due", || status(&host).lanes.normal.waiting == 1);
    assert_eq!(status(&host).timers, 1);
    host.push(candidate("1003"));
    host.commit();
    // 1002 has set a timer that hasn't begun, and nothing of 1002 is left.
    host.wait_until_unmapped("1002");

    assert_eq!(release(&first), "1001");
    wait_until("the timer's call is inside", || second.latch.is_entered());
    assert_eq!(status(&host).timers, 0);
    assert_eq!(release(&second), "1003");
}

#[test]
fn a_timer_that_is_called_off_frees_its_arguments_and_is_nobodys_any_more() {
    let host = serving_two(|builder| builder);
    let (work, second) = (work(&host), second_work(&host));
    let errand = Arc::new(Errand::default());
    let timer = set(&work, HOURS, &errand).unwrap();
    assert_eq!((status(&host).timers, Arc::strong_count(&errand)), (1, 2));
    assert!(!cancel(&second, timer), "it's another module's");
    assert!(cancel(&work, timer));
    assert_eq!((status(&host).timers, Arc::strong_count(&errand)), (0, 1));
    assert!(!cancel(&work, timer), "it's called off already");

    // One that has begun can't be called off.
    let timer = set(&work, 0, &errand).unwrap();
    wait_until("it has begun", || errand.latch.is_entered());
    assert!(!cancel(&work, timer));
    release(&errand);
}

#[test]
fn a_timer_that_is_due_can_be_called_off_as_long_as_it_waits_for_a_thread() {
    let host = serving(|builder| builder.pool(MODULE, ONE));
    let work = work(&host);
    let (first, due) = (occupy(&work), Arc::new(Errand::default()));
    let timer = set(&work, 0, &due).unwrap();
    wait_until("it is due", || status(&host).lanes.normal.waiting == 1);
    assert!(cancel(&work, timer));
    assert!(!cancel(&work, timer));
    assert_eq!(Arc::strong_count(&due), 1);
    release(&first);
    // What was spawned later has run, so it would have, too.
    release(&occupy(&work));
    wait_until("its place is free", || status(&host).timers == 0);
    assert_eq!(due.ran_on.get(), None);
}

#[test]
fn a_timer_in_the_state_is_called_off_by_the_next_version() {
    let host = serving(|builder| builder);
    let (work, errand) = (work(&host), Arc::new(Errand::default()));
    work.call(|work| work.remember(HOURS, errand.clone())).unwrap();
    host.push(candidate("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    assert_eq!(status(&host).timers, 1);
    assert_eq!(work.call(|work| work.cancel_remembered()), Ok(true));
    assert_eq!((status(&host).timers, Arc::strong_count(&errand)), (0, 1));
}

#[test]
fn beyond_the_bound_a_timer_is_refused_and_counted_and_its_arguments_are_freed() {
    let host = serving(|builder| builder.timers_max(2));
    let (work, errand) = (work(&host), Arc::new(Errand::default()));
    let timer = set(&work, HOURS, &errand).unwrap();
    // A time that no clock can add is a long one.
    set(&work, u64::MAX, &errand).unwrap();
    let refused = set(&work, HOURS, &errand);
    let error = SpawnError::TooManyTimers { module: MODULE.to_owned(), timers: 2 };
    assert_eq!(refused, Err(("too-many-timers".to_owned(), error.to_string())));
    let found = status(&host);
    assert_eq!((found.timers, found.timers_max, found.refused), (2, 2, 1));
    assert_eq!(Arc::strong_count(&errand), 3);
    assert!(cancel(&work, timer));
    assert!(set(&work, HOURS, &errand).is_ok());
}

#[test]
fn an_engine_that_ends_drops_the_timers_that_are_left() {
    let log = Log::of_this_process();
    let host = serving(|builder| builder);
    let (work, errand) = (work(&host), Arc::new(Errand::default()));
    for _ in 0..37 {
        set(&work, HOURS, &errand).unwrap();
    }
    drop(host);
    assert_eq!((Arc::strong_count(&errand), errand.ran_on.get()), (1, None));
    let dropped = |record: &Record| {
        record.text("message").starts_with("dropped timers that were set")
            && record.fields.get("count") == Some(&Value::Unsigned(37))
    };
    assert!(log.records().iter().any(dropped));
}

#[test]
fn timers_wait_for_the_first_version_of_their_module() {
    let refuses = Arc::new(AtomicBool::new(true));
    let refusing = refuses.clone();
    let host = Host::of::<dyn Work>(|builder, _| {
        builder.on_step(move |moment| match moment.step {
            SwapStep::HandOver if refusing.swap(false, Ordering::SeqCst) => Err("not today".to_owned()),
            _ => Ok(()),
        })
    });
    // Its `create` hook has run, and it is never published.
    let beating = |version| Fixture::package("fixture-work", version).feature("beats-at-create").build();
    host.refused("withheld", beating("1001"));
    assert_eq!((host.slots(), status(&host).timers), ((None, None), 1));

    // The timer of the next one and that of the first come due now, though both were set for at once.
    host.push(beating("1002"));
    let beats = || work(&host).call(|work| work.beats()).unwrap();
    wait_until("both have run", || status(&host).timers == 0 && beats() == 2);
}

#[test]
fn a_module_that_is_stopped_gives_up_its_timers_and_its_ticks() {
    let (errand, held) = (Arc::new(Errand::default()), Arc::new(()));
    let ticking = held.clone();
    let host = serving(|builder| {
        builder.tick::<dyn Work>(MODULE, PERIOD, move |work| {
            let _ = &ticking;
            work.beat().map(drop)
        })
    });
    set(&work(&host), HOURS, &errand).unwrap();
    wait_until("it has ticked", || tick(&host).begun > 0);
    host.engine.stop_module(MODULE).unwrap();
    assert_eq!(Arc::strong_count(&errand), 1);
    let found = status(&host);
    assert_eq!((found.timers, found.ticks), (0, vec![]));
    // One that was under way may be on its way out yet.
    wait_until("nothing has the tick", || Arc::strong_count(&held) == 1);
}

#[test]
fn a_module_that_is_not_taken_leaves_no_timer() {
    let log = Log::of_this_process();
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("modules");
    fs::create_dir(&modules).unwrap();
    // Its `create` hook has set a timer when the next step is refused.
    let beating =
        Fixture::package("fixture-work", "1001").feature("second").feature("beats-at-create").build();
    fs::copy(beating, modules.join("second.v1001.so")).unwrap();
    let builder = Engine::builder().modules_from::<dyn Work>(&modules);
    let builder = builder.on_step(|moment| match moment.step {
        SwapStep::HandOver => Err("not today".to_owned()),
        _ => Ok(()),
    });
    let engine = builder.private_folder(folder.path().join("private")).build().unwrap();
    assert_eq!(engine.rescan().iter().map(|fault| fault.code).collect::<Vec<_>>(), ["withheld"]);
    let dropped = |record: &Record| {
        record.text("message").starts_with("dropped what the module had waiting")
            && (record.text("module"), record.fields.get("timers")) == ("second", Some(&Value::Unsigned(1)))
    };
    assert!(log.records().iter().any(dropped));
}

#[test]
fn a_tick_moves_to_the_next_version_by_itself_and_finds_the_state_there() {
    let beats: Arc<Mutex<Vec<(String, u64)>>> = Arc::default();
    let noted = beats.clone();
    let host = serving(|builder| {
        builder.tick::<dyn Work>(MODULE, PERIOD, move |work| {
            let beat = work.beat()?;
            noted.lock().unwrap().push(beat);
            Ok(())
        })
    });
    let last = || beats.lock().unwrap().last().map(|(version, _)| version.clone());
    wait_until("the first beats", || last().as_deref() == Some("1001"));
    host.push(candidate("1002"));
    wait_until("the second beats", || last().as_deref() == Some("1002"));
    host.commit();
    host.wait_until_unmapped("1001");
    drop(host);

    // One after the other, each once, on versions that only move forward.
    let beats = beats.lock().unwrap();
    assert!(beats.iter().zip(1..).all(|((_, count), expected)| *count == expected), "{beats:?}");
    assert!(beats.iter().map(|(version, _)| version).is_sorted());
}

#[test]
fn a_tick_that_takes_longer_than_its_period_does_not_pile_up() {
    let errand = Arc::new(Errand::default());
    let beaten = errand.clone();
    let host =
        serving(|builder| builder.tick::<dyn Work>(MODULE, PERIOD, move |work| work.run(beaten.clone())));
    wait_until("the first is inside", || errand.latch.is_entered());
    wait_until("others were skipped", || tick(&host).skipped >= 5);
    let found = status(&host);
    assert_eq!((found.lanes.high.running, found.lanes.high.waiting), (1, 0));
    assert_eq!((found.ticks[0].begun, found.ticks[0].failed, found.ticks[0].period_ms), (1, 0, 1));
    let holders = host.status().active.unwrap().holders;
    assert_eq!(
        (holders.len(), holders[0].thread.as_str(), holders[0].method),
        (1, "logic.tick", Some("run"))
    );

    errand.latch.release();
    wait_until("the next ones are made", || tick(&host).begun >= 3);
}

#[test]
fn a_tick_that_fails_or_panics_is_counted_and_is_due_again() {
    let log = Log::of_this_process();
    let host = serving(|builder| builder.tick::<dyn Work>(MODULE, PERIOD, |work| work.fail()));
    wait_until("it has failed some times", || tick(&host).failed >= 4);
    let told = |record: &&Record| {
        let message = record.text("message");
        message.starts_with("a tick failed") && message.contains("no beat today")
    };
    let records = log.records();
    let told: Vec<_> = records.iter().filter(told).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].text("module"), told[0].thread.as_str()), (MODULE, "logic.tick"));

    let host =
        serving(|builder| builder.tick::<dyn Work>(MODULE, PERIOD, |_| panic!("the host's own fault")));
    wait_until("it has panicked some times", || tick(&host).failed >= 4);
}

#[test]
fn an_engine_with_a_tick_inside_waits_for_it() {
    let errand = Arc::new(Errand::default());
    let beaten = errand.clone();
    let host =
        serving(|builder| builder.tick::<dyn Work>(MODULE, PERIOD, move |work| work.run(beaten.clone())));
    wait_until("it is inside", || errand.latch.is_entered());
    let work = work(&host);
    // This thread keeps what it has called, and that doesn't keep the closure.
    assert_eq!(work.call(|work| work.beats()), Ok(0));
    let ending = thread::spawn(move || host.end());
    // On another thread: this one would let go of what it keeps.
    thread::spawn(move || wait_until("nobody enters any more", || work.enter().is_err())).join().unwrap();
    // Time enough to end, if it didn't wait.
    thread::sleep(Duration::from_millis(200));
    assert!(!ending.is_finished());
    errand.latch.release();
    assert_eq!(ending.join().unwrap().mapped, 0);
    assert_eq!(Arc::strong_count(&errand), 1);
}

#[test]
fn what_can_not_be_meant_is_an_error_that_says_what_was_found_and_what_was_expected() {
    let refused = |change: fn(Builder) -> Builder| {
        let built = change(Engine::builder().module::<dyn Work>(MODULE)).build();
        built.map(drop).unwrap_err().to_string()
    };
    let chat =
        |builder: Builder| builder.tick::<dyn fixture_api::Chat>(MODULE, PERIOD, |chat| chat.say("nothing"));
    let expected = "found a tick with interface `Chat` for module `logic`, expected `Work`: name the interface \
                    that the module is declared with";
    assert_eq!(refused(chat), expected);
    let expected =
        "found a tick for module `other`, expected one of `logic`: declare it with `Builder::module`";
    assert_eq!(refused(|builder| builder.tick::<dyn Work>("other", PERIOD, |work| work.fail())), expected);
    let expected =
        "found a tick with a period of 0 for module `logic`, expected a longer one: say how often it's due";
    assert_eq!(
        refused(|builder| builder.tick::<dyn Work>(MODULE, Duration::ZERO, |work| work.fail())),
        expected
    );
    let expected =
        "found a period of 0 for looking through the watched folders, expected a longer one: say how often";
    assert_eq!(refused(|builder| builder.rescan_every(Duration::ZERO)), expected);
}
