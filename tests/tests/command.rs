//! The `liveswap` command on a running demo: what it prints, and how it ends.

use std::fs;
use std::process::{Command, Output};

use liveswap_tests::demo::{Demo, NEWER, OLDER, command};
use liveswap_tests::wait_until;
use serde_json::Value;

/// What was asked for happened, and nothing else was said. Gives what was printed.
#[track_caller]
fn done(output: Output) -> String {
    assert!(output.stderr.is_empty(), "{output:?}");
    printed(output)
}

/// What was asked for happened, and the state was migrated with it. Gives what was printed.
#[track_caller]
fn migrated(output: Output) -> String {
    let told = str::from_utf8(&output.stderr).expect("it prints UTF-8").lines().next_back();
    assert_eq!(told, Some("migrated: all of the state is in its new shape"), "{output:?}");
    let printed = printed(output);
    assert!(printed.lines().count() == 1 && printed.contains("; schema "), "{printed}");
    printed
}

#[track_caller]
fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// It didn't happen, and one line says why, beginning with this code. Gives the rest of it.
#[track_caller]
fn refused(output: Output, code: &str) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told = String::from_utf8(output.stderr).expect("it prints UTF-8");
    assert_eq!(told.lines().count(), 1, "{told}");
    let message = told.strip_prefix(&format!("error[{code}]: "));
    message.unwrap_or_else(|| panic!("expected `{code}`: {told}")).to_owned()
}

fn path(demo: &Demo, name: &str) -> String {
    demo.candidate(name).to_str().expect("a plain path").to_owned()
}

#[track_caller]
fn push(demo: &Demo, name: &str) -> Output {
    demo.liveswap(&["push", &path(demo, name)])
}

/// Which fields there are, in which order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().expect("it has fields").keys().map(String::as_str).collect()
}

#[track_caller]
fn assert_names(value: &Value, expected: &[&str]) {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut found = names(value);
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_status_as_json_has_every_promised_field() {
    let demo = Demo::start();
    let third = demo.add_candidate("1003");
    migrated(push(&demo, NEWER));
    done(push(&demo, &third));
    wait_until("1001 is unmapped", || demo.retired("1001")["state"] == "unmapped");

    let slow = std::thread::spawn({
        let mut connection = demo.connect();
        move || connection.get("/slow?ms=1000")
    });
    wait_until("the call is inside", || demo.status()["active"]["in_flight"] == 1);
    wait_until("1002 has been told of its successor", || demo.status()["standby"]["in_flight"] == 0);
    let status: Value = serde_json::from_str(&done(demo.liveswap(&["status", "--json"]))).expect("JSON");
    assert_names(&status, &["modules"]);
    let module = &status["modules"][0];
    assert_names(
        module,
        &[
            "name",
            "phase",
            "active",
            "standby",
            "retired",
            "swaps",
            "last_swap",
            "probation",
            "last_verdict",
            "migration",
            "snapshots",
        ],
    );
    assert_eq!((&module["name"], &module["phase"]), (&"logic".into(), &"probation".into()));
    for (slot, version, in_flight) in [("active", "1003", 1), ("standby", "1002", 0)] {
        let slot = &module[slot];
        assert_names(slot, &["slot", "version", "state_schema", "origin", "in_flight", "holders"]);
        assert!(slot["slot"] == "A" || slot["slot"] == "B", "{slot}");
        assert_eq!(slot["version"], version);
        assert_eq!(slot["state_schema"], 2);
        assert_eq!(slot["in_flight"], in_flight);
        assert_eq!(slot["holders"].as_array().expect("it is a list").len(), in_flight);
    }
    assert_ne!(module["active"]["slot"], module["standby"]["slot"]);
    let holder = &module["active"]["holders"][0];
    assert_names(holder, &["thread", "thread_id", "holds_by", "method", "age_ms"]);
    assert_eq!(holder["holds_by"], "call");
    assert_eq!(holder["method"], "slow");
    assert!(holder["age_ms"].is_u64() && holder["thread_id"].is_i64(), "{holder}");
    let retired = &module["retired"][0];
    assert_names(retired, &["version", "state", "holders"]);
    assert_eq!((&retired["version"], &retired["state"]), (&"1001".into(), &"unmapped".into()));
    assert_names(&module["swaps"], &["committed", "rolled_back", "rolled_back_by_health", "refused"]);
    assert_eq!(module["swaps"]["committed"], 1);
    assert_names(&module["last_swap"], &["from", "to", "stages_us"]);
    assert_eq!((&module["last_swap"]["from"], &module["last_swap"]["to"]), (&"1002".into(), &"1003".into()));
    for stage in ["accept", "verify", "load", "publish"] {
        assert!(module["last_swap"]["stages_us"][stage].is_u64(), "{}", module["last_swap"]);
    }
    let migration = &module["migration"];
    assert_names(
        migration,
        &["from_schema", "to_schema", "stage", "shards", "done", "attempts", "waits_for", "pause_us"],
    );
    assert_eq!((&migration["from_schema"], &migration["to_schema"]), (&1.into(), &2.into()));
    assert_eq!((&migration["stage"], &migration["done"]), (&"done".into(), &migration["shards"]));
    assert!(migration["pause_us"].is_u64() && migration["attempts"].as_u64() > Some(0), "{migration}");
    let probation = &module["probation"];
    assert_names(
        probation,
        &["version", "since_ms", "ends_ms", "calls", "panics", "errors", "methods", "health"],
    );
    assert_eq!((&probation["version"], &probation["panics"]), (&"1003".into(), &0.into()));
    let verdict = &module["last_verdict"];
    assert_names(verdict, &["number", "version", "verdict", "at_ms"]);
    assert_eq!((&verdict["version"], &verdict["verdict"]), (&"1002".into(), &"committed".into()));
    let snapshots = &module["snapshots"];
    assert_names(
        snapshots,
        &["taken", "failed", "under_way", "last", "last_failure", "restored_from", "passed_over"],
    );
    assert_eq!((&snapshots["taken"], &snapshots["last"]), (&0.into(), &Value::Null));
    assert_eq!(slow.join().expect("it was answered").ok(), "1003");
}

#[test]
fn the_status_as_a_table_names_slots_versions_and_holders() {
    let demo = Demo::start();
    let table = done(demo.liveswap(&["status"]));
    assert!(table.starts_with("logic: serving\n  lifecycle  started\n  active     1001 "), "{table}");
    assert!(table.contains("\n  standby    -\n"), "{table}");
    let slow = std::thread::spawn({
        let mut connection = demo.connect();
        move || connection.get("/slow?ms=1000")
    });
    wait_until("the call is inside", || demo.status()["active"]["in_flight"] == 1);
    migrated(push(&demo, NEWER));
    let table = done(demo.liveswap(&["status"]));
    assert!(table.starts_with("logic: probation\n  lifecycle  started\n  active     1002 "), "{table}");
    assert!(table.contains("\n  standby    1001 ") && table.contains("in `slow` for "), "{table}");
    assert!(table.contains("0 committed, 0 rolled back, 0 refused"), "{table}");
    assert!(table.contains("1001 -> 1002 in "), "{table}");
    assert!(table.contains("\n  migration  schema 1 -> 2  done, 16 shards, paused "), "{table}");
    assert!(table.contains("\n  snapshots  0 taken, 0 failed\n"), "{table}");
    assert_eq!(slow.join().expect("it was answered").ok(), "1001");
}

#[test]
fn push_rollback_and_commit_say_what_happened() {
    let demo = Demo::start();
    let told = migrated(push(&demo, NEWER));
    assert!(told.contains("logic 1001 -> 1002 in ") && told.contains("; schema 1 -> 2, paused "), "{told}");
    assert_eq!(demo.active(), "1002");

    wait_until("it was asked how it is", || demo.status()["probation"]["health"] == "good");
    let before = demo.status();
    let told = done(push(&demo, NEWER));
    assert!(told.starts_with("unchanged: logic 1002"), "{told}");
    assert_eq!(demo.status(), before);

    let told = migrated(demo.liveswap(&["rollback", "logic"]));
    assert!(told.contains("logic 1002 -> 1001 in ") && told.contains("; schema 2 -> 1, paused "), "{told}");
    assert_eq!(demo.active(), "1001");

    let told = done(demo.liveswap(&["push", "--quiet", &path(&demo, NEWER)]));
    assert!(told.contains("; schema 1 -> 2, paused "), "{told}");
    assert_eq!(demo.status()["migration"]["stage"], "done");
    refused(push(&demo, OLDER), "older-version");
    let told = migrated(demo.liveswap(&["push", "--allow-older", &path(&demo, OLDER)]));
    assert!(told.contains("logic 1002 -> 1001 in "), "{told}");
    assert_eq!(demo.active(), "1001");

    let told = done(demo.liveswap(&["commit", "logic"]));
    assert!(told.contains("logic") && told.contains("1001"), "{told}");
    assert_eq!((demo.active(), &demo.status()["standby"]), ("1001".to_owned(), &Value::Null));
}

#[test]
fn a_push_is_rehearsed_if_that_is_asked_for() {
    let demo = Demo::start();
    let told = migrated(demo.liveswap(&["push", "--rehearse", &path(&demo, NEWER)]));
    assert!(told.contains("rehearse ") && told.contains("; rehearsed in "), "{told}");
    assert!(told.contains(" on a copy of the state with 0 calls, 0 compared"), "{told}");
    assert_eq!(demo.active(), "1002");
    let third = demo.add_candidate("1003");
    let told = done(demo.liveswap(&["push", "--no-rehearse", &path(&demo, &third)]));
    assert!(!told.contains("rehearse"), "{told}");
    let both = demo.liveswap(&["push", "--rehearse", "--no-rehearse", &path(&demo, &third)]);
    assert_eq!(both.status.code(), Some(2), "{both:?}");
}

#[test]
fn what_is_refused_is_told_by_a_stable_code() {
    let demo = Demo::start();
    refused(demo.liveswap(&["commit", "logic"]), "nothing-to-commit");
    refused(demo.liveswap(&["rollback", "logic"]), "no-predecessor");
    refused(demo.liveswap(&["trust", "logic"]), "nothing-suspect");
    refused(demo.liveswap(&["restore", "logic"]), "no-snapshot");
    for command in ["commit", "rollback", "snapshot", "restore", "trust"] {
        let message = refused(demo.liveswap(&[command, "chat"]), "unknown-module");
        assert!(message.contains("chat") && message.contains("logic"), "{message}");
    }
    fs::write(demo.candidate("logic.v1003.so"), "not a library").expect("the folder can be written");
    refused(push(&demo, "logic.v1003.so"), "not-elf");
    let message = refused(push(&demo, "logic.v1004.so"), "unreadable");
    assert!(message.contains("logic.v1004.so"), "{message}");
    assert_eq!(demo.active(), "1001");

    migrated(push(&demo, NEWER));
    let message = refused(push(&demo, OLDER), "older-version");
    assert!(message.contains("1001") && message.contains("1002"), "{message}");
    let nobody = demo.folder().join("nobody.sock");
    let output = Command::new(command()).arg("--admin").arg(nobody).arg("status").output();
    refused(output.expect("the command can be run"), "no-server");
    assert_eq!(demo.active(), "1002");
}

#[test]
fn the_environment_can_name_the_socket() {
    let demo = Demo::start();
    let liveswap = |socket: &std::path::Path| {
        Command::new(command()).env("LIVESWAP_ADMIN", socket).arg("status").output().expect("it can be run")
    };
    assert!(done(liveswap(&demo.socket())).starts_with("logic: "));
    refused(liveswap(&demo.folder().join("nobody.sock")), "no-server");
    // What is said in the command line counts.
    let mut both = Command::new(command());
    both.env("LIVESWAP_ADMIN", demo.folder().join("nobody.sock")).arg("--admin").arg(demo.socket());
    assert!(done(both.arg("status").output().expect("it can be run")).starts_with("logic: "));
}

#[test]
fn inspect_needs_no_server_and_loads_nothing() {
    let demo = Demo::start();
    let file = path(&demo, NEWER);
    let inspect = |arguments: &[&str]| {
        let mut liveswap = Command::new(command());
        liveswap.env_remove("LIVESWAP_ADMIN").arg("inspect").args(arguments).output().expect("it can be run")
    };
    let text = done(inspect(&[&file]));
    assert!(text.contains("logic") && text.contains("1002"), "{text}");
    let from = text.lines().find(|line| line.starts_with("  from     World, schema 1, "));
    assert!(from.is_some_and(|line| line.ends_with(": and back")), "{text}");
    let json: Value = serde_json::from_str(&done(inspect(&[&file, "--json"]))).expect("JSON");
    assert_eq!((&json["module"], &json["version"]), (&"logic".into(), &"1002".into()));
    for name in ["compiler", "state", "methods"] {
        assert!(!json[name].is_null(), "{name}: {json}");
    }
    for method in ["hello", "hit", "total", "slow"] {
        assert!(json["methods"].to_string().contains(method) && text.contains(method), "{method}: {text}");
    }
    refused(inspect(&[demo.folder().to_str().expect("a plain path")]), "not-a-file");
    refused(inspect(&[&path(&demo, "logic.v1004.so")]), "unreadable");
    let program = command().to_str().expect("a plain path");
    refused(inspect(&[program]), "no-manifest");
}

#[test]
fn a_snapshot_can_be_taken_and_restored() {
    let demo = Demo::start();
    let hit = |count: u64| demo.connect().post(&format!("/hit?n={count}"), b"").ok();
    assert_eq!(hit(3), "3");
    let told = done(demo.liveswap(&["snapshot", "logic"]));
    // Which one it is depends on how long this has taken: the demo takes some by itself.
    let path =
        told.strip_prefix("snapshot of logic: ").and_then(|rest| rest.split_once(", ")).expect("it's told").0;
    assert!(path.starts_with(&format!("{}/snapshots/logic.", demo.folder().display())), "{told}");
    let length = fs::metadata(path).expect("it is on the disk").len();
    let status = demo.status()["snapshots"].take();
    assert_eq!((&status["failed"], &status["last"]["bytes"]), (&0.into(), &length.into()));
    assert_eq!(status["last"]["path"], path);

    assert_eq!(hit(4), "7");
    let told = done(demo.liveswap(&["restore", "logic"]));
    assert_eq!(told, format!("the state of logic is restored from {}\n", path));
    assert_eq!(demo.get("/total").ok(), "3");
}
