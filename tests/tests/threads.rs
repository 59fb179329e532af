//! What calls leave on threads, and the threads that logic starts: they hold their version, by name, and let go
//! of it by themselves.

use std::sync::{Arc, Barrier};
use std::thread;

use fixture_api::Latch;
use fixture_api::threads::Threads;
use liveswap::status::Holder;
use liveswap::{Module, Push};
use liveswap_tests::log::{Log, Record, Value};
use liveswap_tests::threads::{Worker, candidate, host, replace, wait_until_retained};
use liveswap_tests::{Fixture, Host, Patched, wait_until};

fn holders(holders: &[Holder]) -> Vec<(&str, &str)> {
    holders.iter().map(|holder| (holder.thread.as_str(), holder.holds_by)).collect()
}

/// Has the version start a thread, from one that ends: starting one leaves something on the starter too.
fn start(host: &Host, name: &'static str) -> Arc<Latch> {
    let latch = Arc::new(Latch::default());
    let module: Module<dyn Threads> = host.module();
    thread::scope(|scope| {
        scope.spawn(|| module.call(|module| module.start(name, latch.clone())).unwrap());
    });
    wait_until("it runs", || latch.is_entered());
    latch
}

fn of_version(log: &Log, version: &str, message: &str) -> Vec<Record> {
    let records = log.records().into_iter();
    records.filter(|record| record.text("version") == version && record.text("message") == message).collect()
}

#[test]
fn a_thread_that_stays_away_is_named_and_its_next_call_lets_the_version_go() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5001"));
    assert_eq!(worker.call(&host, |module| module.count()), Ok(1));
    assert_eq!(worker.call(&host, |module| module.count()), Ok(2));
    replace(&host, "5002");

    let held = wait_until_retained(&host, "5001");
    assert_eq!(holders(&held), [("ada", "destructors")]);
    assert_ne!(held[0].thread_id, 0);
    let retired = host.retired("5001").unwrap();
    assert!(retired.reason.unwrap().contains("threads still hold it"));
    assert_eq!(host.mapped().len(), 2);
    assert_eq!(of_version(log, "5001", "thread-local destroyed"), []);

    assert_eq!(worker.call(&host, |module| module.count()), Ok(1), "of the new version");
    host.wait_until_unmapped("5001");
    assert_eq!(host.mapped().len(), 1);
    let [destroyed] = &of_version(log, "5001", "thread-local destroyed")[..] else { panic!("once") };
    assert_eq!((destroyed.thread.as_str(), &destroyed.fields["count"]), ("ada", &Value::Unsigned(2)));
    worker.end();
}

#[test]
fn a_call_that_finds_no_version_lets_go_too() {
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5011"));
    worker.call(&host, |module| module.count()).unwrap();
    replace(&host, "5012");
    wait_until_retained(&host, "5011");
    let module: Module<dyn Threads> = {
        let other = liveswap_tests::threads::host();
        other.module()
    };
    // Another engine's, which has ended.
    assert!(worker.run(move || module.call(|module| module.count())).is_err());
    host.wait_until_unmapped("5011");
    worker.end();
}

#[test]
fn a_thread_that_ends_lets_go() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5021"));
    worker.call(&host, |module| module.count()).unwrap();
    // The standard library's own destructor: rust-lang/rust#91979.
    assert_eq!(worker.call(&host, |module| module.own_name()), Ok(None));
    replace(&host, "5022");
    wait_until_retained(&host, "5021");
    worker.end();
    host.wait_until_unmapped("5021");
    assert_eq!(of_version(log, "5021", "thread-local destroyed").len(), 1);
}

#[test]
fn a_thread_that_ends_before_the_version_runs_its_destructors_then() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5031"));
    worker.call(&host, |module| module.count()).unwrap();
    worker.end();
    assert_eq!(of_version(log, "5031", "thread-local destroyed").len(), 1);
    replace(&host, "5032");
    host.wait_until_unmapped("5031");
}

#[test]
fn a_thread_that_left_nothing_holds_nothing() {
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5041"));
    let latch = Arc::new(Latch::default());
    latch.release();
    let module: Module<dyn Threads> = host.module();
    worker.run(move || module.call(|module| module.tear_down_slowly(latch)).unwrap());
    replace(&host, "5042");
    host.wait_until_unmapped("5041");
    worker.end();
}

#[test]
fn destructors_that_leave_new_ones_are_run_to_the_end() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5051"));
    worker.call(&host, |module| module.chain()).unwrap();
    worker.call(&host, |module| module.keep_a_value()).unwrap();
    replace(&host, "5052");
    assert_eq!(holders(&wait_until_retained(&host, "5051")), [("ada", "destructors")]);
    worker.call(&host, |module| module.own_name()).unwrap();
    host.wait_until_unmapped("5051");
    let places: Vec<_> = of_version(log, "5051", "chained");
    assert_eq!(places.iter().map(|record| record.text("place")).collect::<Vec<_>>(), ["first", "second"]);
    // A value whose destructor sets it again is given up after as many rounds as POSIX asks for.
    assert_eq!(of_version(log, "5051", "value destroyed").len(), 4);
    worker.end();
}

#[test]
fn a_thread_that_parks_holds_nothing_and_is_new_to_the_version_afterwards() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5061"));
    for round in 1..=3 {
        assert_eq!(worker.call(&host, |module| module.count()), Ok(1));
        assert_eq!(worker.call(&host, |module| module.count()), Ok(2));
        assert_eq!(worker.call(&host, |module| module.own_name()), Ok(None), "it can be asked for again");
        worker.call(&host, |module| module.chain()).unwrap();
        worker.run(liveswap::on_thread_park);
        assert_eq!(of_version(log, "5061", "thread-local destroyed").len(), round);
    }
    replace(&host, "5062");
    host.wait_until_unmapped("5061");
    worker.end();
}

/// Nobody calls any more, and nobody has to.
#[test]
fn idle_workers_of_a_tokio_runtime_hold_nothing() {
    const WORKERS: usize = 4;
    let host = host();
    host.push(candidate(&host, "5066"));
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).on_thread_park(liveswap::on_thread_park).build().unwrap();
    // Each worker has one of them: they wait for each other.
    let all = Arc::new(Barrier::new(WORKERS));
    let calls: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (module, all): (Module<dyn Threads>, _) = (host.module(), all.clone());
            runtime.spawn(async move {
                all.wait();
                module.call(|module| Ok((module.count()?, module.own_name()?)))
            })
        })
        .collect();
    for call in calls {
        assert!(runtime.block_on(call).unwrap().is_ok_and(|(count, _)| count == 1));
    }
    replace(&host, "5067");
    host.wait_until_unmapped("5066");
}

#[test]
fn a_thread_that_parks_within_a_call_keeps_that_version() {
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5071"));
    let module: Module<dyn Threads> = host.module();
    let counts = worker.run(move || {
        let guard = module.enter().unwrap();
        let before = guard.count();
        liveswap::on_thread_park();
        (before, guard.count())
    });
    assert_eq!(counts, (Ok(1), Ok(2)));
    worker.end();
}

#[test]
fn a_thread_of_logic_s_own_holds_its_version_by_its_name_until_it_ends() {
    let host = host();
    host.push(candidate(&host, "5081"));
    let latch = start(&host, "wheel");
    let active = host.status().active.unwrap();
    assert_eq!((active.in_flight, holders(&active.holders)), (0, vec![("wheel", "thread")]));

    replace(&host, "5082");
    let held = wait_until_retained(&host, "5081");
    assert_eq!(holders(&held), [("wheel", "thread")]);
    assert_ne!(held[0].thread_id, i32::try_from(std::process::id()).unwrap());
    assert_eq!(host.mapped().len(), 2);
    latch.release();
    host.wait_until_unmapped("5081");
    assert_eq!(host.mapped().len(), 1);
}

#[test]
fn versions_that_are_held_are_bounded_and_the_refusal_names_who_holds_them() {
    let host = Host::of::<dyn Threads>(|builder, _| builder.retained_max(2));
    let worker = Worker::new("ada");
    host.push(candidate(&host, "5091"));
    worker.call(&host, |module| module.count()).unwrap();
    replace(&host, "5092");
    let latch = start(&host, "wheel");
    replace(&host, "5093");
    wait_until_retained(&host, "5091");
    wait_until_retained(&host, "5092");

    let next = candidate(&host, "5094");
    let error = host.refused("too-many-retained", &*next).to_string();
    for found in ["5091 (held by ada)", "5092 (held by wheel)"] {
        assert!(error.contains(found), "{error}");
    }
    assert_eq!(host.mapped().len(), 3);
    worker.end();
    host.wait_until_unmapped("5091");
    host.push(next);
    latch.release();
    host.wait_until_unmapped("5092");
}

#[test]
fn teardown_runs_once_after_the_last_call_and_before_the_library_goes() {
    let log = Log::of_this_process();
    let host = host();
    host.push(candidate(&host, "5101"));
    let module: Module<dyn Threads> = host.module();
    let guard = module.enter().unwrap();
    let latch = Arc::new(Latch::default());
    guard.tear_down_slowly(latch.clone()).unwrap();
    replace(&host, "5102");
    assert_eq!(host.retired("5101").unwrap().state, "draining");
    assert!(!latch.is_entered(), "a call is inside");
    drop(guard);

    wait_until("it is being torn down", || latch.is_entered());
    let retired = host.retired("5101").unwrap();
    assert_eq!(holders(&retired.holders), [("liveswap-hook", "hook")]);
    assert_eq!(retired.holders[0].method, Some("teardown"));
    assert_eq!(host.mapped().len(), 2);
    // Others go meanwhile.
    replace(&host, "5103");
    host.wait_until_unmapped("5102");
    latch.release();
    host.wait_until_unmapped("5101");
    assert_eq!(of_version(log, "5101", "torn down").len(), 1);
    drop(host);
    assert_eq!(of_version(log, "5103", "torn down").len(), 1, "at the end of the engine too");
}

#[test]
fn unload_runs_once_when_all_threads_have_let_go_and_is_the_last_of_a_version() {
    let log = Log::of_this_process();
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5116"));
    worker.call(&host, |module| module.count()).unwrap();
    let latch = start(&host, "wheel");
    replace(&host, "5117");
    wait_until("it is torn down", || of_version(log, "5116", "torn down").len() == 1);
    wait_until_retained(&host, "5116");
    worker.call(&host, |module| module.own_name()).unwrap();
    assert!(of_version(log, "5116", "unloaded").is_empty(), "its own thread is still there");
    latch.release();
    host.wait_until_unmapped("5116");

    let records = log.records().into_iter().filter(|record| record.text("version") == "5116");
    let told: Vec<_> = records.map(|record| record.text("message").to_owned()).collect();
    let place = |message: &str| {
        let mut places = told.iter().enumerate().filter(|(_, told)| *told == message).map(|(place, _)| place);
        (places.next().unwrap_or_else(|| panic!("{message}: {told:?}")), places.next())
    };
    let (torn_down, destroyed, unloaded) =
        (place("torn down"), place("thread-local destroyed"), place("unloaded"));
    assert_eq!((torn_down.1, destroyed.1, unloaded.1), (None, None, None), "each once: {told:?}");
    assert!(torn_down.0 < unloaded.0 && destroyed.0 < unloaded.0, "{told:?}");
    worker.end();
}

#[test]
fn hooks_that_panic_at_the_end_do_no_more_than_return() {
    let host = host();
    host.push(Fixture::threads("1003").feature("teardown-panics").build());
    replace(&host, "5112");
    host.wait_until_unmapped("1003");
}

#[test]
fn a_candidate_that_fails_with_a_thread_of_its_own_stays_until_that_ends() {
    let log = Log::of_this_process();
    let host = host();
    host.push(candidate(&host, "5121"));
    let starts = Fixture::threads("1004").feature("prepare-starts-a-thread").build();
    let starts = Patched::of(starts).version("5122").write(host.folder(), "5122");
    host.refused("prepare-refused", starts);
    assert_eq!(holders(&wait_until_retained(&host, "5122")), [("prepared", "thread")]);
    host.wait_until_mapped(1);
    wait_until("it is forgotten", || host.retired("5122").is_none());
    assert_eq!(of_version(log, "5122", "unloaded").len(), 1);
    assert_eq!(of_version(log, "5122", "torn down").len(), 1);
}

#[test]
fn what_a_constructor_did_behind_the_host_s_back_retains_its_library_with_the_reason() {
    for (version, feature, reason) in [
        ("1005", "constructor-starts-a-thread", "has started a thread"),
        ("1006", "constructor-creates-a-key", "has created a thread-specific key"),
        ("1007", "constructor-touches-a-thread-local", "registered a thread-local's destructor"),
    ] {
        let host = host();
        host.push(Fixture::threads(version).feature(feature).build());
        replace(&host, "5132");
        wait_until_retained(&host, version);
        let found = host.retired(version).unwrap().reason.unwrap();
        assert!(found.contains(reason), "{found}");
        assert_eq!(host.mapped().len(), 2, "{feature}");
    }
}

#[test]
fn the_thread_that_ends_the_engine_holds_nothing() {
    let host = host();
    host.push(candidate(&host, "5141"));
    let module: Module<dyn Threads> = host.module();
    module.call(|module| module.count()).unwrap();
    let folder = host.folder().canonicalize().unwrap();
    drop(host);
    assert_eq!(liveswap_tests::maps::mapped(&folder).len(), 0);
}

#[test]
fn the_end_of_the_engine_waits_for_threads_of_logic_and_not_for_those_of_the_host() {
    let (host, worker) = (host(), Worker::new("ada"));
    host.push(candidate(&host, "5151"));
    worker.call(&host, |module| module.count()).unwrap();
    let latch = start(&host, "wheel");
    let module: Module<dyn Threads> = host.module();
    let folder = host.folder().canonicalize().unwrap();
    let end = thread::spawn(move || drop(host));
    wait_until("nobody enters any more", || module.call(|module| module.count()).is_err());
    assert!(!end.is_finished());
    latch.release();
    end.join().unwrap();
    // What is left of it belongs to `ada`, who runs it at her end.
    assert_eq!(liveswap_tests::maps::mapped(&folder).len(), 1);
    worker.end();
}

#[test]
fn older_versions_can_come_back_after_they_were_held() {
    let (host, worker) = (host(), Worker::new("ada"));
    let older = candidate(&host, "5161");
    host.push(&*older);
    worker.call(&host, |module| module.count()).unwrap();
    replace(&host, "5162");
    wait_until_retained(&host, "5161");
    host.push(Push::file(&older).allow_older());
    // Another load of the same file: the thread-local of the first isn't touched.
    assert_eq!(worker.call(&host, |module| module.count()), Ok(1));
    host.commit();
    host.wait_until_mapped(1);
    assert_eq!(worker.call(&host, |module| module.count()), Ok(2));
    worker.end();
}

/// What the engine relies on: that nothing in a logic library reaches the C library's own thread functions. If
/// a later standard library uses others, this is where it shows.
#[test]
fn a_logic_library_asks_the_host_for_every_thread_function() {
    use object::read::elf::{ElfFile64, Sym};
    use object::{Object, ObjectSymbol};

    let file = std::fs::read(Fixture::threads("1001").build()).unwrap();
    let file = ElfFile64::<object::LittleEndian>::parse(&*file).unwrap();
    let undefined: Vec<_> = file
        .dynamic_symbols()
        .filter(|symbol| symbol.elf_symbol().st_shndx(object::LittleEndian) == object::elf::SHN_UNDEF)
        .map(|symbol| symbol.name().unwrap())
        .collect();
    assert!(undefined.contains(&"memcpy"), "imports are found: {undefined:?}");
    let ties =
        ["thread_atexit", "pthread_create", "pthread_key", "pthread_setspecific", "thrd_", "tss_", "clone"];
    let found: Vec<_> = undefined.iter().filter(|name| ties.iter().any(|tie| name.contains(tie))).collect();
    assert!(found.is_empty(), "{found:?} must be defined by `export!`");
}

#[test]
fn p0_05_a_version_s_last_use_ends_in_its_own_hooks_once_each() {
    let log = Log::of_this_process();
    let host = host();
    let hooks = |version: &str| {
        let records = log.records().into_iter().filter(|record| record.text("version") == version);
        let said = records.map(|record| record.text("message").to_owned());
        said.filter(|said| ["torn down", "unloaded"].contains(&&**said)).collect::<Vec<_>>()
    };
    for version in ["5111", "5112", "5113"] {
        replace_or_begin(&host, version);
    }
    // The code that says so is each version's own: the engine logs it under the version whose library it came from.
    for version in ["5111", "5112"] {
        host.wait_until_unmapped(version);
        assert_eq!(hooks(version), ["torn down", "unloaded"]);
    }
    assert_eq!(hooks("5113"), [""; 0], "it serves");
    drop(host);
    assert_eq!(hooks("5113"), ["torn down", "unloaded"]);
    assert_eq!((hooks("5111").len(), hooks("5112").len()), (2, 2));
}

/// Makes a version the active one, and lets its predecessor go.
fn replace_or_begin(host: &Host, version: &str) {
    host.push(candidate(host, version));
    if host.status().standby.is_some() {
        host.commit();
    }
}
