//! When a thread settles what it owes to a version: never while it runs that version's code, and always once it
//! has come by or ended, wherever it called from.

use std::ffi::{c_uint, c_void};
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use fixture_api::Latch;
use fixture_api::threads::Threads;
use liveswap::{Engine, Module};
use liveswap_state::CallError;
use liveswap_tests::host::MODULE;
use liveswap_tests::log::Log;
use liveswap_tests::reaction::react_to;
use liveswap_tests::threads::{Worker, candidate, host, replace, wait_until_retained};
use liveswap_tests::{Host, alone, maps, wait_until};

/// A host that waits for nothing when it ends.
fn impatient() -> Host {
    Host::of::<dyn Threads>(|builder, _| builder.drain_deadline(Duration::from_millis(50)))
}

/// Has the version start a thread that borrows. From one that ends: starting one leaves something on the starter too.
fn borrow_on_a_thread(host: &Host) -> Arc<Latch> {
    let latch = Arc::new(Latch::default());
    let (module, held): (Module<dyn Threads>, _) = (host.module(), latch.clone());
    thread::spawn(move || module.call(|module| module.borrow_on_a_thread(held))).join().unwrap().unwrap();
    wait_until("it has borrowed", || latch.is_entered());
    latch
}

/// Has the version borrow in its `teardown` hook.
fn borrow_in_teardown(host: &Host) {
    let module: Module<dyn Threads> = host.module();
    module.call(|module| module.borrow_in_teardown()).unwrap();
}

/// The module is called within each event `borrowed`, and before that: a thread that calls a module already can be
/// asked to settle. Whatever comes of the calls: the engine may be ending.
fn call_while_borrowed(host: &Host) -> Log {
    let module: Module<dyn Threads> = host.module();
    react_to(&["borrowing", "borrowed"], move || drop(module.call(|module| module.count())))
}

/// Where an engine is put to be dropped within the next event `borrowed`.
type Fate = Arc<Mutex<Option<Engine>>>;

fn drop_while_borrowed() -> (Fate, Log) {
    let fate = Fate::default();
    let log = react_to(&["borrowed"], {
        let fate = fate.clone();
        move || {
            let engine = fate.lock().unwrap().take();
            drop(engine);
        }
    });
    (fate, log)
}

/// Waits until the text's destructor has run. It has to be the last that is said of it.
#[track_caller]
fn assert_kept_while_borrowed(log: &Log) {
    let told = || -> Vec<_> {
        let records = log.records().into_iter();
        let told = records.map(|record| (record.text("message").to_owned(), record.text("text").to_owned()));
        told.filter(|(_, text)| !text.is_empty()).collect()
    };
    wait_until("the text is destroyed", || told().iter().any(|(message, _)| message == "text destroyed"));
    let expected = ["borrowed", "borrowed", "given back", "text destroyed"];
    assert_eq!(told(), expected.map(|message| (message.to_owned(), "a text that is on the heap".to_owned())));
}

#[test]
fn a_thread_of_logic_s_keeps_its_thread_locals_while_a_subscriber_calls_the_module() {
    alone::check(|| {
        let host = host();
        let log = call_while_borrowed(&host);
        host.push(candidate(&host, "1"));
        let latch = borrow_on_a_thread(&host);
        replace(&host, "2");
        wait_until_retained(&host, "1");
        latch.release();
        host.wait_until_unmapped("1");
        assert_kept_while_borrowed(&log);
    });
}

#[test]
fn a_thread_of_logic_s_keeps_its_thread_locals_while_a_subscriber_finds_no_version() {
    alone::check(|| {
        let host = host();
        let log = call_while_borrowed(&host);
        host.push(candidate(&host, "1"));
        let latch = borrow_on_a_thread(&host);
        let module: Module<dyn Threads> = host.module();
        let folder = host.folder().canonicalize().unwrap();
        let end = thread::spawn(move || drop(host));
        wait_until("nobody enters any more", || module.enter().is_err());
        latch.release();
        end.join().unwrap();
        assert_kept_while_borrowed(&log);
        assert_eq!(maps::mapped(&folder).len(), 0);
    });
}

#[test]
fn a_thread_of_logic_s_keeps_its_thread_locals_while_a_subscriber_drops_the_engine() {
    alone::check(|| {
        let host = impatient();
        let (fate, log) = drop_while_borrowed();
        host.push(candidate(&host, "1"));
        let latch = borrow_on_a_thread(&host);
        let Host { engine, .. } = host;
        *fate.lock().unwrap() = Some(engine);
        latch.release();
        assert_kept_while_borrowed(&log);
    });
}

#[test]
fn a_teardown_keeps_its_thread_locals_while_a_subscriber_calls_the_module() {
    alone::check(|| {
        let host = host();
        let log = call_while_borrowed(&host);
        host.push(candidate(&host, "1"));
        borrow_in_teardown(&host);
        replace(&host, "2");
        host.wait_until_unmapped("1");
        assert_kept_while_borrowed(&log);
    });
}

#[test]
fn a_teardown_keeps_its_thread_locals_while_a_subscriber_finds_no_version() {
    alone::check(|| {
        let host = host();
        let log = call_while_borrowed(&host);
        host.push(candidate(&host, "1"));
        borrow_in_teardown(&host);
        let folder = host.folder().canonicalize().unwrap();
        drop(host);
        assert_kept_while_borrowed(&log);
        assert_eq!(maps::mapped(&folder).len(), 0);
    });
}

#[test]
fn a_teardown_keeps_its_thread_locals_while_a_subscriber_drops_the_engine() {
    alone::check(|| {
        let host = impatient();
        let (fate, log) = drop_while_borrowed();
        host.push(candidate(&host, "1"));
        borrow_in_teardown(&host);
        host.push(candidate(&host, "2"));
        let Host { engine, .. } = host;
        {
            // The hook waits for the lock, so that this thread can still commit.
            let mut fate = fate.lock().unwrap();
            fate.insert(engine).commit(MODULE).unwrap();
        }
        assert_kept_while_borrowed(&log);
    });
}

#[test]
fn a_thread_that_parks_has_no_value_left_of_a_key_without_a_destructor() {
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "1"));
    assert_eq!(worker.call(&host, |module| module.keep_a_plain_value()), Ok(false));
    assert_eq!(worker.call(&host, |module| module.keep_a_plain_value()), Ok(true));
    worker.run(liveswap::on_thread_park);
    assert_eq!(worker.call(&host, |module| module.keep_a_plain_value()), Ok(false));
    worker.end();
}

#[test]
fn a_thread_settles_at_its_pass_through_a_module_that_it_first_calls_after_it_was_asked() {
    let (one, other, worker) = (host(), host(), Worker::new("ada"));
    one.push(candidate(&one, "1"));
    other.push(candidate(&other, "11"));
    worker.call(&one, |module| module.count()).unwrap();
    replace(&one, "2");
    wait_until_retained(&one, "1");
    worker.call(&other, |module| module.count()).unwrap();
    one.wait_until_unmapped("1");
    worker.end();
}

/// Has this thread do the work as late as it can: in a key's destructor, after those of its thread-locals.
fn at_the_very_end(work: impl FnOnce() + 'static) {
    type Work = Box<dyn FnOnce()>;

    extern "C" fn destroy(work: *mut c_void) {
        // SAFETY: made below, and given to this destructor once.
        let work = unsafe { Box::from_raw(work.cast::<Work>()) };
        work();
    }

    let mut key: c_uint = 0;
    let work: *mut Work = Box::into_raw(Box::new(Box::new(work)));
    // SAFETY: `key` can be written to. The destructor takes what is set here, and nothing else is.
    let results = unsafe {
        [libc::pthread_key_create(&raw mut key, Some(destroy)), libc::pthread_setspecific(key, work.cast())]
    };
    assert_eq!(results, [0, 0]);
}

#[test]
fn a_thread_whose_first_call_comes_from_a_key_s_destructor_lets_go_when_it_has_ended() {
    let host = host();
    host.push(candidate(&host, "1"));
    let module: Module<dyn Threads> = host.module();
    let (answer, answered) = channel();
    let late = move || answer.send(module.call(|module| module.count())).unwrap();
    thread::spawn(|| at_the_very_end(late)).join().unwrap();
    assert_eq!(answered.recv(), Ok(Ok(1)));
    replace(&host, "2");
    host.wait_until_unmapped("1");
}

#[test]
fn a_subscriber_s_call_within_an_event_of_the_reaper_s_keeps_no_version() {
    alone::check(|| {
        let host = host();
        let module: Module<dyn Threads> = host.module();
        let counted: Arc<OnceLock<Result<u64, CallError>>> = Arc::default();
        react_to(&["unmapped"], {
            let counted = counted.clone();
            move || {
                counted.get_or_init(|| module.call(|module| module.count()));
            }
        });
        host.push(candidate(&host, "1"));
        replace(&host, "2");
        wait_until("the reaper has called", || counted.get().is_some());
        assert_eq!(counted.get(), Some(&Ok(1)));
        replace(&host, "3");
        host.wait_until_unmapped("2");
    });
}

/// Said on the thread that watches folders.
const TOO_MANY_FOLDERS: &str =
    "has more folders than are watched: what comes to those beyond isn't noticed until the next look";

/// A host whose watched folder has so many folders that one more is told of, and the path of that one.
fn host_of_many_folders() -> (Host, PathBuf) {
    let host = Host::of::<dyn Threads>(|builder, folder| {
        let modules = folder.join("modules");
        for number in 0..1024 {
            fs::create_dir_all(modules.join(number.to_string())).unwrap();
        }
        builder.watch(modules)
    });
    let more = host.folder().join("modules/more");
    (host, more)
}

#[test]
fn a_subscriber_s_call_on_the_thread_that_watches_folders_keeps_no_version() {
    alone::check(|| {
        let (host, more) = host_of_many_folders();
        let module: Module<dyn Threads> = host.module();
        let counted: Arc<OnceLock<Result<u64, CallError>>> = Arc::default();
        react_to(&[TOO_MANY_FOLDERS], {
            let counted = counted.clone();
            move || {
                counted.get_or_init(|| module.call(|module| module.count()));
            }
        });
        host.push(candidate(&host, "1"));
        fs::create_dir(more).unwrap();
        wait_until("the subscriber has called", || counted.get().is_some());
        assert_eq!(counted.get(), Some(&Ok(1)));
        replace(&host, "2");
        host.wait_until_unmapped("1");
    });
}

#[test]
fn a_subscriber_may_drop_the_engine_on_the_thread_that_watches_folders() {
    alone::check(|| {
        let (host, more) = host_of_many_folders();
        let (module, folder) = (host.module::<dyn Threads>(), host.folder().canonicalize().unwrap());
        host.push(candidate(&host, "1"));
        let (host, dropped) = (Mutex::new(Some(host)), Arc::new(OnceLock::new()));
        react_to(&[TOO_MANY_FOLDERS], {
            let dropped = dropped.clone();
            move || {
                drop(host.lock().unwrap().take());
                dropped.get_or_init(|| ());
            }
        });
        fs::create_dir(more).unwrap();
        wait_until("it's dropped", || dropped.get().is_some());
        assert!(module.enter().is_err());
        assert_eq!(maps::mapped(&folder).len(), 0);
    });
}

#[test]
fn an_engine_ends_at_its_deadline_although_a_spawned_call_s_thread_hangs_in_a_destructor() {
    let host = impatient();
    host.push(candidate(&host, "1"));
    let library = host.mapped().pop_first().unwrap();
    let (module, latch): (Module<dyn Threads>, Arc<Latch>) = (host.module(), Arc::default());
    module.call(|module| module.spawn_a_slow_destructor(latch.clone())).unwrap();
    wait_until("the call is over and its thread is in the destructor", || latch.is_entered());
    let end = thread::spawn(move || drop(host));
    wait_until("the engine has ended", || end.is_finished());
    assert!(maps::mapped(library.parent().unwrap()).contains(&library));
    latch.release();
}

#[test]
fn engines_that_end_one_after_the_other_leave_nothing_mapped_while_a_thread_keeps_calling() {
    let (call, told) = channel::<Module<dyn Threads>>();
    let caller = thread::spawn(move || {
        let mut module = told.recv().unwrap();
        loop {
            let _ = module.call(|module| module.count());
            // In the rhythm of a game: most of the time it's away.
            match told.recv_timeout(Duration::from_millis(5)) {
                Ok(next) => module = next,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    for round in 0..5 {
        let host = host();
        host.push(candidate(&host, "1"));
        call.send(host.module()).unwrap();
        wait_until("it has called", || !host.status().active.unwrap().holders.is_empty());
        let folder = host.folder().canonicalize().unwrap();
        drop(host);
        assert_eq!(maps::mapped(&folder).len(), 0, "round {round}");
    }
    drop(call);
    caller.join().unwrap();
}
