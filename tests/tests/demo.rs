//! The demo, from outside: a process, its folder, its port and its admin socket.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use liveswap_tests::demo::{Demo, NEWER, OLDER, Signal, workspace};
use liveswap_tests::wait_until;

const FIRST: &str =
    "hello test, this is golang plugin test!, version=1001, name=game1, oldversion=0, oldName=";
const SECOND: &str =
    "hello test, this is golang plugin test!, version=1001, name=game1, oldversion=1001, oldName=game1";
const UPGRADED: &str =
    "hello test, this is golang plugin test!, version=1002, name=game2, oldversion=1001, oldName=game1";
const DOWNGRADED: &str =
    "hello test, this is golang plugin test!, version=1001, name=game1, oldversion=1002, oldName=game2";

#[track_caller]
fn hello(demo: &Demo, expected: &str) {
    assert_eq!(demo.get("/hello").ok(), expected);
}

/// Refused with this code, and never `done`.
#[track_caller]
fn load_refused(demo: &Demo, query: &str, status: u16, code: &str) {
    let answer = demo.get(&format!("/load?{query}"));
    assert_eq!(answer.status, status, "{query}: {}", answer.body);
    assert!(answer.body.starts_with(&format!("error[{code}]: ")), "{query}: {}", answer.body);
    assert!(!answer.body.contains("done"), "{query}: {}", answer.body);
}

#[track_caller]
fn slots(demo: &Demo, active: &str, standby: &str, mapped: usize) {
    assert_eq!(demo.slots(), (active.to_owned(), standby.to_owned(), mapped));
}

#[track_caller]
fn pushed(demo: &Demo, name: &str) {
    let output = demo.liveswap(&["push", demo.candidate(name).to_str().expect("a plain path")]);
    assert!(output.status.success(), "{output:?}");
}

#[track_caller]
fn wait_for_version(demo: &Demo, version: &str) {
    wait_until(&format!("{version} is active"), || demo.active() == version);
}

#[test]
fn p1_02_hello_names_the_version_that_answered_before() {
    // As a person starts it, and nothing else.
    let demo = Demo::launch();
    hello(&demo, FIRST);
    hello(&demo, SECOND);
    let mode = fs::metadata(demo.socket()).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    demo.ends_cleanly(Signal::INT);
}

#[test]
fn p1_03_load_says_done_and_only_then() {
    let demo = Demo::start();
    hello(&demo, FIRST);
    assert_eq!(demo.get("/load?name=logic.v1002.so").ok(), "done");
    hello(&demo, UPGRADED);
    fs::write(demo.candidate("logic.v1003.so"), "not a library").expect("the folder can be written");
    load_refused(&demo, "name=logic.v1003.so", 422, "not-elf");
    load_refused(&demo, "name=logic.v1004.so", 404, "unreadable");
    load_refused(&demo, "name=", 400, "bad-name");
    assert_eq!(demo.active(), "1002");
    slots(&demo, "1002", "1001", 2);
}

#[test]
fn p1_04_an_older_version_comes_back_only_if_allowed() {
    let demo = Demo::start();
    hello(&demo, FIRST);
    assert_eq!(demo.get("/load?name=logic.v1002.so").ok(), "done");
    hello(&demo, UPGRADED);
    load_refused(&demo, "name=logic.v1001.so", 422, "older-version");
    assert_eq!(demo.get("/load?name=logic.v1001.so&allow_older=1").ok(), "done");
    hello(&demo, DOWNGRADED);
}

#[test]
fn the_readme_shows_what_the_demo_answers() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    for line in [FIRST, SECOND, UPGRADED] {
        assert!(readme.lines().any(|shown| shown == line), "the README doesn't show: {line}");
    }
}

#[test]
fn p1_04_a_copy_into_the_watched_folder_upgrades_and_keeps_the_state() {
    let demo = Demo::start();
    hello(&demo, FIRST);
    assert_eq!(demo.connect().post("/hit?n=5", b"").ok(), "5");
    demo.copy_to_modules(NEWER);
    wait_for_version(&demo, "1002");
    hello(&demo, UPGRADED);
    assert_eq!(demo.get("/total").ok(), "5");
    slots(&demo, "1002", "1001", 2);
}

#[test]
fn p1_05_the_same_bytes_change_nothing_and_other_bytes_are_refused() {
    let demo = Demo::start();
    let before = demo.status();
    let answer = demo.get("/load?name=logic.v1001.so").ok();
    assert!(answer.starts_with("unchanged: "), "{answer}");
    assert_eq!(demo.status(), before);
    // The loader doesn't care about a byte behind the last section.
    let mut other = OpenOptions::new().append(true).open(demo.candidate(OLDER)).expect("a candidate");
    other.write_all(b"!").expect("a candidate can be written");
    load_refused(&demo, "name=logic.v1001.so", 422, "conflicting-version");
    slots(&demo, "1001", "", 1);
}

#[test]
fn p1_10_without_a_version_the_service_is_unavailable() {
    let demo = Demo::start_with(&[]);
    let mut connection = demo.connect();
    for target in ["/hello", "/total", "/slow?ms=0"] {
        let answer = connection.get(target);
        assert_eq!((answer.status, &*answer.body), (503, "no active version"), "{target}");
    }
    let answer = connection.post("/hit?n=1", b"");
    assert_eq!((answer.status, &*answer.body), (503, "no active version"));
    slots(&demo, "", "", 0);
    assert_eq!(connection.get("/load?name=logic.v1001.so").ok(), "done");
    assert_eq!(connection.get("/hello").ok(), FIRST);
    demo.ends_cleanly(Signal::TERM);
}

#[test]
fn p1_11_a_path_cant_leave_the_folder_of_candidates() {
    let demo = Demo::start();
    // Each of these would be a fine candidate, if it were looked at.
    let outside = demo.folder().join(NEWER);
    fs::copy(demo.candidate(NEWER), &outside).expect("a candidate can be copied");
    fs::create_dir(demo.candidate("sub")).expect("a folder can be made");
    fs::copy(&outside, demo.candidate("sub").join(NEWER)).expect("a candidate can be copied");
    let absolute = outside.to_str().expect("a plain path");
    for name in [
        "../logic.v1002.so",
        "..%2Flogic.v1002.so",
        "%2e%2e%2flogic.v1002.so",
        "sub/../../logic.v1002.so",
        "sub/logic.v1002.so",
        "./logic.v1002.so",
        "..\\logic.v1002.so",
        "logic.v1002.so%00",
        "..",
        ".",
        absolute,
    ] {
        load_refused(&demo, &format!("name={name}"), 400, "bad-name");
    }
    slots(&demo, "1001", "", 1);
}

#[test]
fn p3_03_each_trigger_causes_exactly_one_swap() {
    let demo = Demo::start();
    let committed = |demo: &Demo| demo.status()["swaps"]["committed"].clone();
    let swaps = |demo: &Demo| demo.logged(": published ");
    assert_eq!(swaps(&demo), 1);
    hello(&demo, FIRST);

    // The watched folder. Nothing is on probation yet, so nothing is committed.
    demo.copy_to_modules(NEWER);
    wait_for_version(&demo, "1002");
    hello(&demo, UPGRADED);
    slots(&demo, "1002", "1001", 2);
    assert_eq!((swaps(&demo), committed(&demo)), (2, 0.into()));

    // The admin socket. From here on, each push commits the version before it.
    let name = demo.add_candidate("1003");
    pushed(&demo, &name);
    wait_until("1001 is unmapped", || demo.retired("1001")["state"] == "unmapped");
    slots(&demo, "1003", "1002", 2);
    assert_eq!((swaps(&demo), committed(&demo)), (3, 1.into()));

    // A signal. A new link to a file that was complete before isn't reported by the watched folder.
    let name = demo.add_candidate("1004");
    fs::hard_link(demo.candidate(&name), demo.module(&name)).expect("both are on one disk");
    assert_eq!(demo.active(), "1003");
    demo.signal(Signal::HUP);
    wait_for_version(&demo, "1004");
    wait_until("1002 is unmapped", || demo.retired("1002")["state"] == "unmapped");
    slots(&demo, "1004", "1003", 2);
    assert_eq!((swaps(&demo), committed(&demo)), (4, 2.into()));

    // A request.
    let name = demo.add_candidate("1005");
    assert_eq!(demo.get(&format!("/load?name={name}")).ok(), "done");
    wait_until("1003 is unmapped", || demo.retired("1003")["state"] == "unmapped");
    slots(&demo, "1005", "1004", 2);
    assert_eq!((swaps(&demo), committed(&demo)), (5, 3.into()));

    // All of them once more: nothing happens. The watched folder comes last, and what it then refuses shows
    // that it has looked at the copy before.
    pushed(&demo, &name);
    let unchanged = demo.get(&format!("/load?name={name}")).ok();
    assert!(unchanged.starts_with("unchanged: "), "{unchanged}");
    demo.signal(Signal::HUP);
    demo.copy_to_modules(&name);
    fs::write(demo.module("logic.v1.so"), "not a library").expect("the folder can be written");
    wait_until("all was looked at", || demo.status()["swaps"]["refused"] == 1);
    assert_eq!((swaps(&demo), committed(&demo)), (5, 3.into()));
    let status = demo.status();
    assert_eq!((&status["last_swap"]["from"], &status["last_swap"]["to"]), (&"1004".into(), &"1005".into()));
    demo.ends_cleanly(Signal::INT);
}

#[test]
fn p3_04_rollback_needs_no_candidate_file() {
    let demo = Demo::start();
    hello(&demo, FIRST);
    assert_eq!(demo.connect().post("/hit?n=3", b"").ok(), "3");
    demo.copy_to_modules(NEWER);
    wait_for_version(&demo, "1002");
    hello(&demo, UPGRADED);
    for file in [demo.candidate(OLDER), demo.candidate(NEWER), demo.module(OLDER), demo.module(NEWER)] {
        fs::remove_file(file).expect("the file is there");
    }
    slots(&demo, "1002", "1001", 2);

    // The predecessor is in the other slot.
    assert!(demo.liveswap(&["rollback", "logic"]).status.success());
    hello(&demo, DOWNGRADED);
    wait_until("1002 is unmapped", || demo.retired("1002")["state"] == "unmapped");
    slots(&demo, "1001", "", 1);
    assert_eq!(demo.status()["swaps"]["rolled_back"], 1);
    assert_eq!(demo.get("/total").ok(), "3");
}

#[test]
fn p3_04_rollback_after_a_commit_loads_the_predecessor_again() {
    let demo = Demo::start();
    hello(&demo, FIRST);
    pushed(&demo, NEWER);
    hello(&demo, UPGRADED);
    assert!(demo.liveswap(&["commit", "logic"]).status.success());
    wait_until("1001 is unmapped", || demo.retired("1001")["state"] == "unmapped");
    slots(&demo, "1002", "", 1);
    for file in [demo.candidate(OLDER), demo.candidate(NEWER), demo.module(OLDER)] {
        fs::remove_file(file).expect("the file is there");
    }
    assert!(demo.liveswap(&["rollback", "logic"]).status.success());
    hello(&demo, DOWNGRADED);
    wait_until("1002 is unmapped", || demo.retired("1002")["state"] == "unmapped");
    slots(&demo, "1001", "", 1);
}

#[test]
fn p3_05_a_slow_call_finishes_on_its_version_which_is_then_unmapped() {
    let demo = Demo::start();
    let further = [demo.add_candidate("1003"), demo.add_candidate("1004")];
    let mut admin = demo.connect_admin();
    // The command takes too long to be asked again and again during the call.
    let mut status = || {
        let status: serde_json::Value = serde_json::from_str(&admin.get("/status").ok()).expect("JSON");
        status["modules"][0].clone()
    };
    let old = demo.mapped();
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let answer = demo.get("/slow?ms=2000").ok();
            (answer, Instant::now())
        });
        wait_until("the call is inside", || status()["active"]["in_flight"] == 1);
        // As a person would look.
        let active = demo.status()["active"].take();
        assert_eq!((&active["version"], &active["holders"][0]["method"]), (&"1001".into(), &"slow".into()));

        assert_eq!(demo.get("/load?name=logic.v1002.so").ok(), "done");
        let standby = status()["standby"].take();
        assert_eq!((&standby["version"], &standby["holders"][0]["method"]), (&"1001".into(), &"slow".into()));
        assert_eq!(demo.mapped().len(), 2);

        assert_eq!(demo.get(&format!("/load?name={}", further[0])).ok(), "done");
        let retired = status()["retired"][0].take();
        assert_eq!((&retired["version"], &retired["state"]), (&"1001".into(), &"draining".into()));
        assert_eq!(retired["holders"][0]["method"], "slow");
        assert!(demo.mapped().len() == 3 && demo.mapped().is_superset(&old), "{:?}", demo.mapped());

        assert_eq!(demo.get(&format!("/load?name={}", further[1])).ok(), "done");
        wait_until("1002, which nobody holds, is unmapped", || {
            let status = status();
            let retired = status["retired"].as_array().expect("it is a list");
            retired.iter().any(|entry| entry["version"] == "1002" && entry["state"] == "unmapped")
        });
        let retired = status()["retired"][0].take();
        assert_eq!((&retired["version"], &retired["state"]), (&"1001".into(), &"draining".into()));
        assert!(demo.mapped().len() == 3 && demo.mapped().is_superset(&old), "{:?}", demo.mapped());

        let (answer, returned) = slow.join().expect("it was answered");
        assert_eq!(answer, "1001");
        wait_until("1001 is unmapped", || status()["retired"][0]["state"] == "unmapped");
        println!("unmapped within {:?} of the answer", returned.elapsed());
    });
    assert!(demo.mapped().is_disjoint(&old));
    slots(&demo, "1004", "1003", 2);
    assert_eq!(demo.logged("liveswap::control::reaper: unmapped module=\"logic\" version=1001"), 1);
    demo.ends_cleanly(Signal::TERM);
}

#[test]
fn a_signal_to_end_lets_a_request_under_way_finish() {
    let demo = Demo::start();
    let mut connection = demo.connect();
    let slow = thread::spawn(move || connection.get("/slow?ms=500"));
    wait_until("the call is inside", || demo.status()["active"]["in_flight"] == 1);
    demo.ends_cleanly(Signal::TERM);
    assert_eq!(slow.join().expect("it was answered").ok(), "1001");
}

#[test]
fn a_candidate_written_in_pieces_is_loaded_when_it_is_complete() {
    let demo = Demo::start();
    let content = fs::read(demo.candidate(NEWER)).expect("a candidate can be read");
    let mut file = File::create(demo.module(NEWER)).expect("the folder can be written");
    let pieces = content.chunks(4096);
    let some = pieces.len() / 20;
    for (number, piece) in pieces.enumerate() {
        file.write_all(piece).expect("the file can be written");
        thread::sleep(Duration::from_millis(1));
        if number % some == 0 {
            hello_from(&demo, "1001");
        }
    }
    // All of it is there, but the writer might still change it.
    slots(&demo, "1001", "", 1);
    assert_eq!(demo.status()["swaps"]["refused"], 0);
    drop(file);
    wait_for_version(&demo, "1002");
    hello_from(&demo, "1002");
}

#[test]
fn a_candidate_that_is_closed_between_its_pieces_is_refused_until_it_is_complete() {
    let demo = Demo::start();
    let content = fs::read(demo.candidate(NEWER)).expect("a candidate can be read");
    // The more often it is closed, the more halves there are to refuse.
    let (beginning, end) = content.split_at(4096 * 8);
    let pieces: Vec<_> = beginning.chunks(4096).chain(end.chunks(end.len() / 8 + 1)).collect();
    let (last, pieces) = pieces.split_last().expect("there are pieces");
    let append = |piece: &[u8]| {
        let file = OpenOptions::new().create(true).append(true).open(demo.module(NEWER));
        file.and_then(|mut file| file.write_all(piece)).expect("the file can be written");
    };
    for (number, piece) in pieces.iter().enumerate() {
        append(piece);
        wait_until("the piece is refused", || demo.status()["swaps"]["refused"] == number + 1);
        hello_from(&demo, "1001");
        slots(&demo, "1001", "", 1);
    }
    append(last);
    wait_for_version(&demo, "1002");
    slots(&demo, "1002", "1001", 2);
}

#[test]
fn what_happens_to_a_loaded_file_changes_nothing() {
    let demo = Demo::start();
    demo.copy_to_modules(NEWER);
    wait_for_version(&demo, "1002");
    let mapped = demo.mapped();
    let length = fs::metadata(demo.module(NEWER)).expect("the file is there").len();
    let write = || OpenOptions::new().write(true).open(demo.module(NEWER)).expect("the file can be written");

    let mut overwritten = write();
    let noise = vec![0xff; usize::try_from(length).expect("it fits into memory")];
    overwritten.write_all(&noise).expect("the file can be written");
    drop(overwritten);
    wait_until("the noise is refused", || demo.status()["swaps"]["refused"] == 1);
    hello_from(&demo, "1002");

    write().set_len(0).expect("the file can be cut");
    wait_until("what is left is refused", || demo.status()["swaps"]["refused"] == 2);
    hello_from(&demo, "1002");

    fs::remove_file(demo.module(NEWER)).expect("the file is there");
    hello_from(&demo, "1002");
    assert_eq!(demo.get("/slow?ms=1").ok(), "1002");
    assert_eq!(demo.mapped(), mapped);
    slots(&demo, "1002", "1001", 2);
    // Both copies are good for a rollback as before.
    assert!(demo.liveswap(&["rollback", "logic"]).status.success());
    hello_from(&demo, "1001");
    demo.ends_cleanly(Signal::TERM);
}

/// Whichever version answered before.
#[track_caller]
fn hello_from(demo: &Demo, version: &str) {
    let answer = demo.get("/hello").ok();
    assert!(answer.contains(&format!(", version={version}, ")), "{answer}");
}

#[test]
fn wrong_requests_are_answered_and_harm_nobody() {
    let demo = Demo::start();
    for target in ["/slow?ms=60001", "/slow?ms=-1", "/slow", "/load?name=logic.v1002.so&allow_older=yes"] {
        assert_eq!(demo.get(target).status, 400, "{target}");
    }
    let mut connection = demo.connect();
    assert_eq!(connection.post("/hit?n=18446744073709551615", b"").ok(), "18446744073709551615");
    let panicked = connection.post("/hit?n=1", b"");
    assert_eq!(panicked.status, 500);
    assert!(panicked.body.starts_with("error[panicked]: "), "{}", panicked.body);
    assert_eq!(connection.get("/total").ok(), "18446744073709551615");
    slots(&demo, "1001", "", 1);
}
