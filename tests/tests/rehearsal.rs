//! Candidates that are tried in a process of their own: what is wrong with one shows there, and the service goes on.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::world::{CURSED, Realm, Thing};
use liveswap::rehearsal::{Rehearsed, StateCopy};
use liveswap::{Engine, Push, Rehearsal};
use liveswap_tests::crowd::Account;
use liveswap_tests::demo::command;
use liveswap_tests::world::{self, figures, realm, wait_until_swept};
use liveswap_tests::{Fixture, Host, alone, host, wait_until};
use rustix::fs::{Mode, OFlags};

const ENTITIES: u64 = 500;

/// Records every call.
fn rehearsal() -> Rehearsal {
    let every = NonZeroU32::new(1).expect("it isn't zero");
    Rehearsal::new().program(command()).record_every(every).deadline(Duration::from_secs(60))
}

/// A host that rehearses each push, serves schema 1, and has recorded some calls.
fn serving(rehearsal: Rehearsal) -> Host {
    serving_version(rehearsal, &world::fixture(1))
}

fn serving_version(rehearsal: Rehearsal, first: &Fixture) -> Host {
    let host = Host::of::<dyn Realm>(|builder, _| builder.rehearse(rehearsal));
    host.push(first.build());
    let realm = realm(&host);
    realm.call(|realm| realm.fill(0, ENTITIES)).expect("it's filled");
    for id in [1, 2, 3] {
        // Before anybody looks whether what was recorded suits a test.
        realm.call(|realm| realm.look(id)).expect("it answers").expect("it's there");
        realm.call(|realm| realm.train(id, 0)).expect("it answers").expect("it's there");
    }
    host
}

fn push(candidate: &Fixture) -> Push {
    Push::file(candidate.build()).rehearse(true)
}

/// It's rehearsed and published.
#[track_caller]
fn passes(host: &Host, candidate: &Fixture) -> Rehearsed {
    let published = host.push(push(candidate));
    assert!(published.swap.stages_us.rehearse.is_some());
    assert_gone(host);
    published.rehearsal.expect("it was rehearsed")
}

/// What the kernel has of the processes that rehearse for the host with this private folder.
fn rehearsing(private: &Path) -> Vec<PathBuf> {
    let private = private.canonicalize().expect("it's there").join(".liveswap-rehearsal-");
    let private = private.to_str().expect("a plain path").to_owned();
    let processes = fs::read_dir("/proc").expect("it's mounted");
    let processes = processes.filter_map(|process| Some(process.ok()?.path()));
    // One that ends meanwhile, or has ended, shows no command line.
    let line = |process: &PathBuf| fs::read(process.join("cmdline")).unwrap_or_default();
    processes.filter(|process| String::from_utf8_lossy(&line(process)).contains(&private)).collect()
}

/// Nothing is left of a rehearsal: no process, no folder.
#[track_caller]
fn assert_gone(host: &Host) {
    assert_eq!(rehearsing(&host.folder().join("private")), Vec::<PathBuf>::new(), "a process is left");
    let is_library = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "so");
    assert!(host.copies().iter().all(is_library), "{:?}", host.copies());
}

/// Under load: it's refused, with these words, and the service doesn't notice. What was said.
#[track_caller]
fn refused(host: &Host, account: &Account, candidate: &Fixture, code: &str, words: &[&str]) -> String {
    let push = push(candidate);
    let (mapped, copies, swaps) = (host.mapped(), host.copies(), host.status().swaps);
    let (error, _) = account.during(host, || host.refused(code, push));
    let told = error.to_string();
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
    // The callers have had an answer to each call, or they would have said so; and all that they did is there.
    assert_eq!(figures(host).checksum, account.checksum());
    let status = host.status();
    assert_eq!((status.phase, status.swaps.refused), ("serving", swaps.refused + 1));
    assert_eq!(host.slots(), (Some("1001".to_owned()), None));
    assert_eq!((host.mapped(), host.copies()), (mapped, copies), "nothing of the candidate is here");
    assert_gone(host);
    told
}

fn bad(feature: &'static str) -> Fixture {
    Fixture::world("1002").feature(feature)
}

#[test]
fn a_good_candidate_passes_and_is_published_and_the_report_says_what_was_done() {
    let host = serving(rehearsal().leave_out("notes"));
    let (account, candidate) = (Account::new(ENTITIES), Fixture::world("1002"));
    let (rehearsed, _) = account.during(&host, || passes(&host, &candidate));
    assert_eq!(figures(&host).checksum, account.checksum());
    assert_eq!((rehearsed.state, rehearsed.state_reason), (StateCopy::Snapshot, None));
    assert!(rehearsed.calls >= 7 && rehearsed.compared == rehearsed.calls, "{}", rehearsed.calls);
    let not_compared: Vec<_> = rehearsed.not_compared.iter().map(|it| it.method.as_str()).collect();
    assert_eq!(not_compared, ["notes", "wait", "wait_in_the_state", "wait_in_a_shard", "wait_and_panic"]);
    assert_eq!(host.slots(), (Some("1002".to_owned()), Some("1001".to_owned())));
}

#[test]
fn the_first_candidate_is_rehearsed_with_what_it_creates() {
    let host = Host::of::<dyn Realm>(|builder, _| builder.rehearse(rehearsal().always()));
    let published = host.push(world::version(1));
    let rehearsed = published.rehearsal.expect("it was rehearsed");
    assert_eq!((rehearsed.state, rehearsed.calls, rehearsed.compared), (StateCopy::Created, 0, 0));
    host.refused("rehearsal-crashed", bad("crashes-in-self-test").build());
}

#[test]
fn only_a_push_that_wants_it_is_rehearsed_unless_all_are() {
    let host = serving(rehearsal());
    assert_eq!(host.push(Fixture::world("1002").build()).rehearsal, None);
    let host = Host::of::<dyn Realm>(|builder, _| builder.rehearse(rehearsal().always()));
    assert_eq!(host.push(Push::file(world::version(1)).rehearse(false)).rehearsal, None);
}

#[test]
fn one_that_crashes_costs_the_service_nothing() {
    let (host, account) = (serving(rehearsal()), Account::new(ENTITIES));
    for (feature, doing) in [
        ("crashes-in-constructor", "loading the candidate"),
        ("crashes-in-self-test", "in `self_test` of the candidate"),
        ("crashes-in-call", "making a recorded call of `look` on the candidate"),
        ("crashes-in-teardown", "in `teardown` and `unload` of the candidate"),
    ] {
        refused(&host, &account, &bad(feature), "rehearsal-crashed", &["SIGSEGV", doing]);
    }
    let words = ["exit code 7", "call of `look` on the candidate", "no more; of this"];
    refused(&host, &account, &bad("ends-in-call"), "rehearsal-crashed", &words);
}

#[test]
fn one_that_hangs_is_ended() {
    let host = serving(rehearsal().deadline(Duration::from_secs(6)));
    let account = Account::new(ENTITIES);
    for (feature, doing) in [
        ("hangs-in-constructor", "loading the candidate"),
        ("hangs-in-self-test", "in `self_test` of the candidate"),
        ("hangs-in-call", "making a recorded call of `look` on the candidate"),
    ] {
        let told = refused(&host, &account, &bad(feature), "rehearsal-hung", &[doing]);
        let waited = told.split_once("after ").and_then(|(_, rest)| rest.split_once(" ms"));
        let waited: u64 = waited.and_then(|(number, _)| number.parse().ok()).expect(&told);
        assert!(waited >= 2000, "a third of the deadline: {told}");
    }
}

#[test]
fn one_that_says_that_it_does_not_work_is_believed() {
    let (host, account) = (serving(rehearsal()), Account::new(ENTITIES));
    refused(
        &host,
        &account,
        &bad("fails-self-test"),
        "rehearsal-failed",
        &["in `self_test`", "it doesn't work"],
    );
}

#[test]
fn one_that_answers_otherwise_must_say_so() {
    let (host, account) = (serving(rehearsal()), Account::new(ENTITIES));
    let words = ["`train` answers otherwise", "found 0x01", "expected 0x01", "`Logic::DIFFERENCES`"];
    refused(&host, &account, &bad("answers-otherwise"), "rehearsal-disagreed", &words);
    let rehearsed = passes(&host, &bad("answers-otherwise").feature("declares"));
    let train = rehearsed.not_compared.iter().find(|it| it.method == "train");
    assert!(train.is_some_and(|it| it.why.contains("says that its answers differ")), "{rehearsed:?}");
    assert!(rehearsed.compared >= 3 && rehearsed.compared < rehearsed.calls, "{rehearsed:?}");
}

#[test]
fn one_that_panics_where_the_other_answers_disagrees() {
    let (host, account) = (serving(rehearsal()), Account::new(ENTITIES));
    let words = ["`look`", "found a panic at", "it was never tried", "expected 0x01"];
    refused(&host, &account, &bad("panics-in-call"), "rehearsal-disagreed", &words);
}

#[test]
fn one_that_mends_a_panic_passes() {
    let host = serving_version(rehearsal(), &world::fixture(1));
    realm(&host).call(|realm| realm.tick_and_panic()).expect_err("it panics");
    let rehearsed = passes(&host, &Fixture::world("1002"));
    let mended = rehearsed.not_compared.iter().find(|it| it.method == "tick_and_panic");
    assert!(mended.is_some_and(|it| it.why.contains("panics in it")), "{rehearsed:?}");
}

#[test]
fn a_migration_is_tried_there_and_back() {
    let host = serving(rehearsal());
    realm(&host).call(|realm| realm.train(4, 2000)).expect("it answers");
    for (feature, doing, why) in [
        ("strict-downgrade", "back from the shape of the candidate", "it knows too much to go back"),
        ("forgetful-downgrade", "back from the shape of the candidate", "it isn't what it was"),
    ] {
        let error = host.refused("rehearsal-failed", push(&bad(feature))).to_string();
        assert!(error.contains(doing) && error.contains(why), "{error}");
    }
    let cursed = Thing { health: CURSED, ..Thing::first(7) };
    realm(&host).call(|realm| realm.insert(7, cursed)).expect("it answers");
    let error = host.refused("rehearsal-failed", push(&world::fixture(2))).to_string();
    assert!(error.contains("to the shape of the candidate") && error.contains("it is cursed"), "{error}");
    assert_gone(&host);

    realm(&host).call(|realm| realm.insert(7, Thing::first(7))).expect("it answers");
    assert_eq!(passes(&host, &world::fixture(2)).state, StateCopy::Snapshot);
    wait_until_swept(&host);
    // An older version than the active one, whose state the active one knows the way to.
    let back = Push::file(Fixture::world("1000").build()).allow_older().rehearse(true);
    let rehearsed = host.push(back).rehearsal.expect("it was rehearsed");
    assert_eq!((rehearsed.state, world::schema(&host)), (StateCopy::Snapshot, 1));
}

#[test]
fn what_has_no_way_back_is_tried_there_only() {
    let host = serving(rehearsal());
    let one_way = Push::file(bad("one-way").build()).allow_one_way().rehearse(true);
    let rehearsed = host.push(one_way).rehearsal.expect("it was rehearsed");
    assert!(rehearsed.compared >= 6, "{rehearsed:?}");
}

#[test]
fn of_a_large_state_a_part_is_copied_or_none() {
    let host = serving(rehearsal().state_bytes_max(20_000));
    let rehearsed = passes(&host, &Fixture::world("1002"));
    assert_eq!(rehearsed.state, StateCopy::Sample);
    assert_eq!(rehearsed.state_reason.as_deref(), Some("it has more than 20000 bytes"));

    let host = serving(rehearsal().state_bytes_max(100));
    realm(&host).call(|realm| realm.note("long ".repeat(100))).expect("it's noted");
    let rehearsed = passes(&host, &Fixture::world("1002"));
    assert_eq!(rehearsed.state, StateCopy::Created);
    assert!(rehearsed.state_reason.is_some_and(|why| why.contains("100 are copied at most")));
}

#[test]
fn a_call_that_keeps_the_state_from_being_copied_is_not_waited_for() {
    let host = serving(rehearsal().deadline(Duration::from_secs(9)));
    let inside = world::Inside::begin(&host, |realm, latch| {
        realm.call(|realm| realm.wait_in_a_shard(5, latch)).expect("it returns")
    });
    let rehearsed = passes(&host, &Fixture::world("1002"));
    assert_eq!(rehearsed.state, StateCopy::Created);
    assert!(rehearsed.state_reason.is_some_and(|why| why.contains("no call in the state")));
    assert_eq!(inside.release(), 1);
    assert_eq!(passes(&host, &Fixture::world("1003")).state, StateCopy::Snapshot);
}

#[test]
fn a_method_that_does_not_agree_with_itself_is_not_compared() {
    let clock = Fixture::world("1001").feature("tells-the-time");
    let host = serving_version(rehearsal(), &clock);
    realm(&host).call(|realm| realm.describe(1)).expect("it answers");
    let rehearsed = passes(&host, &Fixture::world("1002").feature("tells-the-time"));
    let describe = rehearsed.not_compared.iter().find(|it| it.method == "describe");
    assert!(describe.is_some_and(|it| it.why.contains("in the same way each time")), "{rehearsed:?}");
    assert_eq!(rehearsed.calls, rehearsed.compared + 1);
}

#[test]
fn a_method_that_needs_its_host_is_left_out() {
    let first = Fixture::world("1001").feature("needs-its-host");
    let host = serving_version(rehearsal().deadline(Duration::from_secs(12)), &first);
    realm(&host).call(|realm| realm.note("a".to_owned())).expect("it's noted");
    let rehearsed = passes(&host, &Fixture::world("1002"));
    let note = rehearsed.not_compared.iter().find(|it| it.method == "note");
    assert_eq!(note.map(|it| it.why.as_str()), Some("the active version hangs in it"));
    assert!(rehearsed.compared >= 6, "{rehearsed:?}");
}

#[test]
fn without_a_program_there_is_no_rehearsal() {
    let nowhere = Path::new("/no/such/liveswap");
    let host = serving(rehearsal().program(nowhere));
    let (account, words) = (Account::new(ENTITIES), ["/no/such/liveswap", "Rehearsal::program"]);
    refused(&host, &account, &Fixture::world("1002"), "no-rehearsal", &words);
    let (host, account) = (serving(rehearsal().program("/bin/true")), Account::new(ENTITIES));
    refused(&host, &account, &Fixture::world("1002"), "no-rehearsal", &["/bin/true", "exit code 0"]);
    // It's nothing that the candidate could have done.
    assert_eq!(host.push(Fixture::world("1002").build()).rehearsal, None);
}

#[test]
fn bounds_of_the_host_hold_for_the_process() {
    // Not even the program itself can be loaded.
    let host = serving(rehearsal().memory_max(1024 * 1024));
    let error = host.refused("no-rehearsal", push(&Fixture::world("1002"))).to_string();
    assert!(error.contains("can't rehearse"), "{error}");
    let host = serving(rehearsal().memory_max(4 * 1024 * 1024 * 1024).processor_max(Duration::from_secs(60)));
    passes(&host, &Fixture::world("1002"));
}

#[test]
fn a_refusal_is_remembered_for_the_content() {
    let host = Host::of::<dyn Realm>(|builder, folder| {
        builder.rehearse(rehearsal().always()).watch(folder.join("modules"))
    });
    host.push(world::version(1));
    let modules = host.folder().join("modules");
    // Renamed, so that it's noticed once, and whole.
    fs::copy(bad("crashes-in-self-test").build(), modules.join("fresh")).expect("it can be copied");
    fs::rename(modules.join("fresh"), modules.join("logic.v1002.so")).expect("it can be renamed");
    wait_until("it's refused", || host.status().swaps.refused == 1);
    host.engine.rescan();
    host.engine.rescan();
    assert_eq!((host.status().swaps.refused, host.status().phase), (1, "serving"));
    assert_gone(&host);
}

#[test]
fn the_status_says_that_it_rehearses_and_who_pushes_meanwhile_hears_so() {
    let host = serving(rehearsal().deadline(Duration::from_secs(9)));
    let (hanging, good) = (bad("hangs-in-self-test"), Fixture::world("1002").build());
    thread::scope(|scope| {
        let rehearsed = scope.spawn(|| host.refused("rehearsal-hung", push(&hanging)));
        wait_until("it rehearses", || host.status().phase == "rehearsing");
        host.refused("busy", good);
        rehearsed.join().expect("it was refused")
    });
    assert_eq!(host.status().phase, "serving");
}

#[test]
fn an_engine_that_ends_ends_its_rehearsal() {
    let host = Host::of::<dyn Realm>(|builder, folder| {
        let patient = rehearsal().deadline(Duration::from_secs(600));
        builder.rehearse(patient.always()).watch(folder.join("modules"))
    });
    let modules = host.folder().join("modules");
    fs::copy(bad("hangs-in-self-test").build(), modules.join("fresh")).expect("it can be copied");
    fs::rename(modules.join("fresh"), modules.join("logic.v1002.so")).expect("it can be renamed");
    wait_until("it rehearses", || host.status().phase == "rehearsing");
    let started = Instant::now();
    drop(host);
    assert!(started.elapsed() < Duration::from_secs(60), "it was waited for");
}

/// Where the host that is killed has its private folder.
const FOLDER: &str = "LIVESWAP_TEST_FOLDER";

#[test]
fn a_rehearsal_does_not_outlive_its_host() {
    if alone::purpose().is_some() {
        let private = PathBuf::from(env::var_os(FOLDER).expect("it's told"));
        // As a library in C might: it stays open in programs that this one starts.
        let flags = OFlags::CREATE | OFlags::WRONLY;
        let _leaked = rustix::fs::open(private.join("leaked"), flags, Mode::RUSR).expect("it can be opened");
        let engine = Engine::builder().module::<dyn Realm>(host::MODULE).private_folder(private);
        let engine = engine.rehearse(rehearsal()).build().expect("an engine can be built");
        let outcome = engine.push(push(&bad("hangs-in-self-test")));
        panic!("it was to be killed: {outcome:?}");
    }
    // Built before anybody is killed while building it.
    drop((command(), bad("hangs-in-self-test").build()));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let test = alone::name("rehearsal::a_rehearsal_does_not_outlive_its_host");
    let output = || Stdio::null();
    let mut server = alone::command(test, "serve");
    let server = server.env(FOLDER, folder.path()).stdout(output()).stderr(output()).spawn();
    let mut server = server.expect("this program can be run again");
    let read = |process: &Path, name: &str| {
        String::from_utf8_lossy(&fs::read(process.join(name)).unwrap_or_default()).into_owned()
    };
    // It has begun anew, and has nothing of the host.
    let is_rehearsing = |process: &PathBuf| read(process, "environ").contains("LIVESWAP_REHEARSAL=1");
    wait_until("it rehearses", || rehearsing(folder.path()).iter().any(is_rehearsing));
    let process = rehearsing(folder.path()).pop().expect("it was there just now");
    assert!(!read(&process, "environ").contains("LIVESWAP_TEST"), "{}", read(&process, "environ"));
    let limits = read(&process, "limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(core.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");
    let descriptors = fs::read_dir(process.join("fd")).expect("it lives");
    let opened = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let opened: Vec<_> = opened.collect();
    assert!(opened.len() >= 3 && !opened.contains(&folder.path().join("leaked")), "{opened:?}");
    server.kill().expect("it lives");
    server.wait().expect("it was killed");
    wait_until("the rehearsal has ended", || rehearsing(folder.path()).is_empty());
    // Its folder goes with the next engine.
    let left = || fs::read_dir(folder.path()).expect("it's there").filter_map(Result::ok).count();
    assert!(left() > 2, "the host had no time to clean up");
    let next = Engine::builder().module::<dyn Realm>(host::MODULE).private_folder(folder.path()).build();
    drop(next.expect("an engine can be built"));
    assert_eq!(left(), 2, "only its lock, and what isn't the engine's");
}
