//! Logic in C and C++: the same road, and the same guarantees as far as they reach.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use liveswap::{Abi, CallError, Probation, Push, Reason, Rehearsal, inspect};
use liveswap_state::{Bytes, BytesProxy, Gate};
use liveswap_tests::demo::command;
use liveswap_tests::foreign::{Source, behaviours, counter, has_compilers};
use liveswap_tests::log::Log;
use liveswap_tests::threads::Worker;
use liveswap_tests::{Host, alone, logic, maps, wait_until};
use object::elf::FileHeader64;
use object::endian::LittleEndian;
use object::read::elf::ElfFile;
use object::{Object, ObjectSymbol};

fn host() -> Host {
    Host::of::<dyn Bytes>(|builder, _| builder)
}

/// A host that serves a library.
fn serving(source: &Source) -> Host {
    let host = host();
    push(&host, source);
    host
}

#[track_caller]
fn push(host: &Host, source: &Source) {
    host.push(source.build(host.folder()).as_path());
}

fn call(host: &Host, method: &str, input: &str) -> Result<String, String> {
    text(host.module::<dyn Bytes>().call(|bytes| bytes.call(method, input.as_bytes())).unwrap())
}

fn ask(host: &Host, method: &str, input: &str) -> Result<String, String> {
    text(host.module::<dyn Bytes>().call(|bytes| bytes.ask(method, input.as_bytes())).unwrap())
}

fn text(answer: Result<Vec<u8>, String>) -> Result<String, String> {
    answer.map(|bytes| String::from_utf8(bytes).unwrap())
}

fn answered(answer: &str) -> Result<String, String> {
    Ok(answer.to_owned())
}

/// Pushes the next version, and gives the one before up.
#[track_caller]
fn replace(host: &Host, source: &Source) {
    push(host, source);
    host.commit();
}

#[track_caller]
fn wait_until_retained(host: &Host, version: &str) -> String {
    let is_retained = || host.retired(version).is_some_and(|retired| retired.state == "retained");
    wait_until(&format!("{version} is retained"), is_retained);
    host.retired(version).and_then(|retired| retired.reason).unwrap_or_default()
}

/// The messages of the log that have this text in them.
fn logged(text: &str) -> usize {
    let records = Log::of_this_process().records();
    records.iter().filter(|record| record.text("message").contains(text)).count()
}

/// The names that other libraries could be linked to.
fn defined(library: &Path) -> BTreeSet<String> {
    let bytes = fs::read(library).unwrap();
    let file: ElfFile<'_, FileHeader64<LittleEndian>> = ElfFile::parse(&*bytes).unwrap();
    let symbols = file.dynamic_symbols().filter(ObjectSymbol::is_definition);
    symbols.map(|symbol| symbol.name().unwrap().to_owned()).collect()
}

#[test]
fn p0_01_a_c_library_exports_its_entry_and_nothing_else() {
    if !has_compilers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let entry = BTreeSet::from(["liveswap_c_entry".to_owned()]);
    assert_eq!(defined(&counter("1").build(folder.path())), entry);
    assert_eq!(defined(&behaviours("2").build(folder.path())), entry);
    let with_libstdcxx = behaviours("3").flag("-static-libstdc++").flag("-static-libgcc");
    assert_eq!(defined(&with_libstdcxx.build(folder.path())), entry);
    // It's the map that does it: the templates of the standard library are visible by themselves.
    assert!(defined(&behaviours("4").shows_all().build(folder.path())).len() > 1);
}

#[test]
fn p0_11_two_resident_versions_with_the_same_symbols_give_different_answers() {
    if !has_compilers() {
        return;
    }
    let host = serving(&behaviours("1101"));
    for _ in 0..3 {
        ask(&host, "statics", "").unwrap();
    }
    push(&host, &behaviours("1102"));
    assert_eq!(maps::mapped_code(host.private()).len(), 2);
    assert_eq!(ask(&host, "version", ""), answered("1102"));
    // Its statics are its own, also those that C++ has one of for all.
    assert_eq!(ask(&host, "statics", ""), answered("101"));
    host.rollback();
    assert_eq!(maps::mapped_code(host.private()).len(), 2);
    assert_eq!(ask(&host, "version", ""), answered("1101"));
    assert_eq!(ask(&host, "statics", ""), answered("404"));
}

#[test]
fn a_library_in_c_is_swapped_and_unmapped_and_its_state_stays() {
    if !has_compilers() {
        return;
    }
    let host = serving(&counter("1"));
    assert_eq!(call(&host, "add", "123"), answered("3"));
    push(&host, &counter("2"));
    assert_eq!(ask(&host, "version", ""), answered("2"));
    assert_eq!(call(&host, "add", "12"), answered("5"));
    host.rollback();
    assert_eq!((ask(&host, "version", ""), ask(&host, "count", "")), (answered("1"), answered("5")));
    push(&host, &counter("3"));
    host.commit();
    host.wait_until_unmapped("1");
    host.wait_until_unmapped("2");
    assert_eq!(ask(&host, "count", ""), answered("5"));
    let left = host.end();
    assert_eq!((left.mapped, left.copies), (0, 0));
}

#[test]
fn blocks_grow_and_shrink_and_are_listed() {
    if !has_compilers() {
        return;
    }
    let host = serving(&counter("1"));
    assert_eq!(call(&host, "put", "b"), answered("0"), "it's aligned");
    assert_eq!(call(&host, "put", "a"), answered("0"));
    assert_eq!(ask(&host, "names", ""), answered("a;b;count;"));
    assert_eq!(ask(&host, "get", "a"), answered("a\0\0\0"));
    assert_eq!(call(&host, "remove", "a"), answered("1"));
    assert_eq!(call(&host, "remove", "a"), answered("0"));
    assert_eq!(ask(&host, "names", ""), answered("b;count;"));
    // A name is text, and isn't empty.
    assert_eq!(call(&host, "put", ""), Err("can't allocate it".to_owned()));
    let module = host.module::<dyn Bytes>();
    let refused = module.call(|bytes| bytes.call("put", b"\xff")).unwrap();
    assert_eq!(refused, Err("can't allocate it".to_owned()));
    // Who shares the state changes nothing.
    assert_eq!(ask(&host, "change", ""), answered("refused"));
    assert_eq!(ask(&host, "what", ""), Err("what is that?".to_owned()));
}

#[test]
fn a_library_that_knows_fewer_functions_has_the_others_unset() {
    if !has_compilers() {
        return;
    }
    let host = serving(&counter("1").flag("-DLOGIC_SIZE=offsetof(liveswap_logic,ask)"));
    assert_eq!(call(&host, "add", "1"), answered("1"));
    assert_eq!(ask(&host, "count", ""), Err("there is no method `count` of this kind".to_owned()));
}

fn wide(version: &str) -> Source {
    counter(version).flag("-DSCHEMA=2")
}

#[test]
fn a_state_of_another_schema_is_migrated_and_a_rollback_turns_it_back() {
    if !has_compilers() {
        return;
    }
    let host = serving(&counter("1"));
    call(&host, "add", "12345").unwrap();
    push(&host, &wide("2"));
    assert_eq!(ask(&host, "count", ""), answered("5"));
    assert_eq!(call(&host, "add", "1"), answered("6"));
    host.rollback();
    assert_eq!((ask(&host, "version", ""), ask(&host, "count", "")), (answered("1"), answered("6")));
    assert_eq!(call(&host, "add", "1"), answered("7"));

    // Several schemas further, in one push.
    push(&host, &counter("4").flag("-DSCHEMA=4"));
    assert_eq!(ask(&host, "count", ""), answered("7"));
    // What the former version can't hold keeps it from coming back.
    call(&host, "fill", "").unwrap();
    let error = host.engine.rollback("logic").unwrap_err().to_string();
    assert!(error.contains("the count is too large"), "{error}");
    assert_eq!(ask(&host, "version", ""), answered("4"));
}

#[test]
fn a_state_that_nobody_can_migrate_refuses_the_push() {
    if !has_compilers() {
        return;
    }
    let host = serving(&counter("1"));
    let refused = |code: &str, source: Source| {
        let error = host.refused(code, source.build(host.folder()).as_path()).to_string();
        assert_eq!(ask(&host, "version", ""), answered("1"));
        error
    };
    let error = refused("wrong-state", wide("2").flag("-DOLDEST=2"));
    assert!(error.contains("LIVESWAP_EXPORT_STATE"), "{error}");
    refused("one-way", wide("3").flag("-DWAY=LIVESWAP_ONE_WAY"));
    // It says that it can, and has no function for it.
    let error = refused("migration-failed", wide("4").flag("-DLOGIC_SIZE=offsetof(liveswap_logic,migrate)"));
    assert!(error.contains("the library has no `migrate`"), "{error}");
}

#[test]
fn a_state_in_c_is_in_a_snapshot_and_an_older_one_is_migrated() {
    if !has_compilers() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let host = || Host::of::<dyn Bytes>(|builder, _| builder.snapshots(place.path().join("snapshots")));
    let before = host();
    push(&before, &counter("1"));
    call(&before, "add", "1234567").unwrap();
    before.end();
    let after = host();
    push(&after, &wide("2"));
    assert_eq!(ask(&after, "count", ""), answered("7"));
}

#[test]
fn hooks_in_c_are_asked_and_heard() {
    if !has_compilers() {
        return;
    }
    let log = Log::of_this_process();
    let host = host();
    let refusing = counter("801").flag("-DREFUSE_PREPARE");
    let error = host.refused("prepare-refused", refusing.build(host.folder()).as_path()).to_string();
    assert!(error.contains("not today"), "{error}");
    push(&host, &counter("802").flag("-DVETO"));
    let next = counter("803").build(host.folder());
    let error = host.refused("vetoed", next.as_path()).to_string();
    assert!(error.contains("in the middle of something"), "{error}");
    host.push(Push::from(next.as_path()).force());
    // An event in C is one of this module and version, with its place in the source.
    let record = log.records().into_iter().find(|record| record.text("message") == "preparing 802").unwrap();
    assert_eq!((record.text("module"), record.text("version")), ("logic", "802"));
}

#[test]
fn what_isnt_for_this_host_is_refused_before_it_runs() {
    if !has_compilers() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let library = counter("1").build(place.path());
    let manifest = inspect(&library).unwrap();
    assert_eq!((manifest.abi, manifest.contract, manifest.interface.as_str()), (Abi::C, 1, "Bytes"));
    assert!(manifest.to_string().contains("abi        c\n"), "{manifest}");
    // A host whose module is called in Rust.
    Host::new().refused("wrong-interface", library.as_path());
    // Logic in Rust of another interface.
    host().refused("wrong-interface", logic("1001").as_path());

    let patched = |from: &str, to: &str| {
        let mut bytes = fs::read(&library).unwrap();
        let place = bytes.windows(from.len()).position(|found| found == from.as_bytes()).unwrap();
        bytes[place..][..from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let refused = |code: &str, bytes: Vec<u8>| {
        let path = place.path().join("patched.so");
        fs::write(&path, bytes).unwrap();
        host().refused(code, path.as_path()).to_string()
    };
    let error = refused("wrong-abi", patched(r#""contract":1"#, r#""contract":9"#));
    assert!(error.contains("`LIVESWAP_ABI` 9, expected 1"), "{error}");
    refused("damaged-manifest", patched(r#""oldest":1"#, r#""oldest":0"#));
    refused("damaged-manifest", patched(r#""abi":"c""#, r#""abi":"x""#));
    refused("future-manifest", patched("LIVESWAP\x02", "LIVESWAP\x03"));
    refused("damaged-manifest", patched("LIVESWAP\x02", "LIVESWAP\x01"));
}

#[test]
fn an_exception_is_an_error_of_its_call() {
    if !has_compilers() {
        return;
    }
    let host = serving(&behaviours("1"));
    let module = host.module::<dyn Bytes>();
    let thrown = |method: &str| match module.call(|bytes| bytes.call(method, b"")) {
        Err(CallError::Panicked { message, method, .. }) => (method, message),
        other => panic!("expected a panic, got {other:?}"),
    };
    assert_eq!(thrown("throw"), ("call".to_owned(), "the roof is on fire".to_owned()));
    assert_eq!(thrown("throw-number").1, "something that is no std::exception was thrown");
    assert_eq!(logged("logic panicked: the roof is on fire"), 1);
    // It has had the state alone.
    assert!(host.status().suspect.is_some());
    // One that says no hasn't failed.
    assert_eq!(call(&host, "refuse", "never"), Err("no: never".to_owned()));
    assert_eq!(call(&host, "add", "2"), answered("2"));
    assert_eq!(ask(&host, "total", ""), answered("2"));
}

#[test]
fn a_destructor_of_a_thread_local_in_cxx_runs_before_its_library_goes() {
    if !has_compilers() {
        return;
    }
    Log::of_this_process();
    for (version, next, method) in [("901", "902", "thread-local"), ("903", "904", "key")] {
        let (host, worker) = (serving(&behaviours(version)), Worker::new("ada"));
        let ask_there = |method: &'static str| {
            let module = host.module::<dyn Bytes>();
            worker.run(move || module.call(|bytes| ask_of(bytes, method)).unwrap())
        };
        ask_there(method);
        replace(&host, &behaviours(next));
        wait_until_retained(&host, version);
        let line = match method {
            "key" => format!("value of {version} destroyed"),
            _ => format!("thread-local of {version} destroyed"),
        };
        assert_eq!(logged(&line), 0);
        ask_there("version");
        host.wait_until_unmapped(version);
        assert_eq!(logged(&line), 1);
        worker.end();
    }
}

fn ask_of<G: Gate>(bytes: &BytesProxy<G>, method: &str) -> Result<(), CallError> {
    bytes.ask(method, b"").map(|answer| drop(answer.unwrap()))
}

#[test]
fn statics_in_cxx_are_destroyed_with_their_library() {
    if !has_compilers() {
        return;
    }
    let log = Log::of_this_process();
    let host = serving(&behaviours("911"));
    ask(&host, "statics", "").unwrap();
    assert_eq!(ask(&host, "counted", ""), answered("2"));
    assert_eq!(logged("static of 911 destroyed"), 0);
    replace(&host, &behaviours("912"));
    host.wait_until_unmapped("911");
    assert_eq!(logged("static of 911 destroyed"), 1);
    let told = log.records().into_iter().find(|it| it.text("message") == "static of 911 destroyed").unwrap();
    assert_eq!(told.text("version"), "911");
}

#[test]
fn a_thread_of_logic_in_cxx_holds_its_version_until_teardown_has_ended_it() {
    if !has_compilers() {
        return;
    }
    let host = serving(&behaviours("1"));
    assert_eq!(ask(&host, "pthread", ""), answered("started"));
    replace(&host, &behaviours("2"));
    host.wait_until_unmapped("1");
}

#[test]
fn what_a_shared_libstdcxx_starts_keeps_the_library_and_what_a_linked_one_starts_doesnt() {
    if !has_compilers() {
        return;
    }
    let host = serving(&behaviours("1").flag("-DSTD_THREAD"));
    assert_eq!(ask(&host, "std-thread", ""), answered("joined"));
    replace(&host, &behaviours("2").flag("-DSTD_THREAD").flag("-static-libstdc++").flag("-static-libgcc"));
    let reason = wait_until_retained(&host, "1");
    assert!(reason.contains("starts threads without the engine's knowledge"), "{reason}");
    assert_eq!(ask(&host, "std-thread", ""), answered("joined"));
    replace(&host, &behaviours("3"));
    host.wait_until_unmapped("2");
}

#[test]
fn unique_symbols_keep_a_library_and_either_flag_is_enough_against_them() {
    if !has_compilers() {
        return;
    }
    // Its own are hidden. Those of the standard library are visible all the same, and it's the first to have them.
    let host = serving(&behaviours("1").shows_all());
    let visible = |version: &str| behaviours(version).shows_all().flag("-fvisibility=default");
    replace(&host, &visible("2"));
    let reason = wait_until_retained(&host, "1");
    assert!(reason.contains("unique symbols") && reason.contains("-fno-gnu-unique"), "{reason}");
    assert_eq!(ask(&host, "statics", ""), answered("101"));
    // The next one that has the same has the very same.
    push(&host, &visible("3"));
    assert_eq!(ask(&host, "statics", ""), answered("202"));
    replace(&host, &visible("4").flag("-fno-gnu-unique"));
    wait_until_retained(&host, "2");
    assert_eq!(ask(&host, "statics", ""), answered("101"));
    replace(&host, &behaviours("5"));
    host.wait_until_unmapped("4");
    assert_eq!(ask(&host, "statics", ""), answered("101"));
    replace(&host, &behaviours("6"));
    host.wait_until_unmapped("5");
}

#[test]
fn what_a_constructor_did_is_counted_and_keeps_the_library() {
    if !has_compilers() {
        return;
    }
    let host = serving(&behaviours("1").flag("-DCONSTRUCTOR_KEY"));
    replace(&host, &behaviours("2"));
    let reason = wait_until_retained(&host, "1");
    assert!(reason.contains("a constructor of it has created a thread-specific key"), "{reason}");
}

#[test]
fn an_exception_that_nobody_catches_ends_the_process() {
    if !has_compilers() {
        return;
    }
    if alone::purpose().is_some() {
        let host = serving(&behaviours("1").flag("-DPLAIN"));
        let answer = host.module::<dyn Bytes>().call(|bytes| bytes.call("throw", b""));
        unreachable!("it goes on with {answer:?}");
    }
    let test = "an_exception_that_nobody_catches_ends_the_process";
    let output = alone::command(test, "throw").output().unwrap();
    let written = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{written}");
    assert!(written.contains("cannot catch foreign exceptions"), "{written}");
}

#[test]
fn a_library_in_c_is_rehearsed_with_a_copy_of_its_state() {
    if !has_compilers() {
        return;
    }
    let rehearsal = Rehearsal::new().program(command()).always().deadline(Duration::from_secs(60));
    let host = Host::of::<dyn Bytes>(|builder, _| builder.rehearse(rehearsal));
    push(&host, &counter("1"));
    call(&host, "add", "12345").unwrap();
    let crashing = wide("2").flag("-DCRASH").build(host.folder());
    let error = host.engine.push(crashing.as_path()).unwrap_err();
    assert!(error.code().starts_with("rehearsal-"), "{error}");
    assert_eq!(ask(&host, "version", ""), answered("1"));
    // There and back, on the copy.
    let published = host.push(wide("3").build(host.folder()).as_path());
    assert!(published.rehearsal.is_some());
    assert_eq!(ask(&host, "count", ""), answered("5"));
    host.rollback();
    let stubborn = wide("4").flag("-DLOGIC_SIZE=offsetof(liveswap_logic,migrate_back)").build(host.folder());
    let error = host.engine.push(stubborn.as_path()).unwrap_err();
    assert!(error.to_string().contains("the library has no `migrate_back`"), "{error}");
}

/// The hooks that a version of the logic in C++ has heard, in their order.
fn heard(version: &str) -> Vec<String> {
    let records = Log::of_this_process().records();
    let by = format!(" heard by {version}");
    records.iter().filter_map(|record| Some(record.text("message").strip_suffix(&by)?.to_owned())).collect()
}

#[test]
fn options_reach_logic_in_cxx_as_text_and_one_that_wont_do_changes_nothing() {
    if !has_compilers() {
        return;
    }
    Log::of_this_process();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let set = |name: &str| {
        fs::write(&file, format!("[modules.logic]\nlimits.players = 7\nname = '{name}'")).unwrap()
    };
    set("ada");
    let host = Host::of::<dyn Bytes>(|builder, _| builder.config(&file));
    push(&host, &behaviours("831"));
    assert_eq!(ask(&host, "get", "limits.players"), answered("7"));
    set("unfit");
    let error = host.engine.reload_config().unwrap_err();
    assert!(error.to_string().contains("that won't do"), "{error}");
    assert_eq!(ask(&host, "get", "name"), answered("ada"), "the state is as it was");
    set("bob");
    host.engine.reload_config().unwrap();
    wait_until("it's in force", || ask(&host, "get", "name") == answered("bob"));
    let told: Vec<_> = heard("831").into_iter().filter(|line| line.starts_with("option")).collect();
    assert_eq!(told[..2], ["option limits.players = 7", "option name = ada"]);
}

#[test]
fn logic_in_cxx_that_says_it_isnt_well_is_rolled_back() {
    if !has_compilers() {
        return;
    }
    let policy = Probation::default().window(Duration::from_secs(60)).health_every(Duration::from_millis(20));
    let host = Host::of::<dyn Bytes>(|builder, _| builder.probation(policy));
    push(&host, &behaviours("841"));
    push(&host, &behaviours("842"));
    call(&host, "get-sick", "").unwrap();
    wait_until("there is a verdict", || host.status().last_verdict.is_some());
    let verdict = host.status().last_verdict.unwrap();
    assert_eq!(ask(&host, "version", ""), answered("841"));
    assert_eq!(verdict.reason, Some(Reason::Unhealthy { reason: "something is wrong".to_owned() }));
}

#[test]
fn each_hook_in_cxx_is_heard_in_its_turn() {
    if !has_compilers() {
        return;
    }
    Log::of_this_process();
    let host = serving(&behaviours("821"));
    assert_eq!(heard("821"), ["prepare", "self_test", "initialize, created by 821", "start"]);
    push(&host, &behaviours("822"));
    wait_until("the predecessor has heard of it", || heard("821").ends_with(&["yielded".to_owned()]));
    wait_until("it has heard that it took over", || heard("822").len() == 3);
    assert_eq!(heard("822"), ["prepare", "self_test", "took_over"]);
    host.rollback();
    wait_until("it has heard that it serves on", || heard("821").ends_with(&["resume".to_owned()]));
    push(&host, &behaviours("823"));
    host.commit();
    host.wait_until_unmapped("821");
    assert_eq!(
        heard("821")[4..],
        ["prepare_to_yield", "yielded", "resume", "prepare_to_yield", "yielded", "teardown", "unload"]
    );
    host.end();
    assert_eq!(heard("823")[3..], ["stop, started by 821", "teardown", "unload"]);
}
