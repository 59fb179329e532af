//! The audit log: what each road leaves in it, and that nothing takes a line away again.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use liveswap::{Push, SuspectPolicy};
use liveswap_tests::demo::command;
use liveswap_tests::host::MODULE;
use liveswap_tests::network::{Entrance, PUSH, READ};
use liveswap_tests::{Fixture, Host, logic, trial, wait_until};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn path(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

fn host() -> Host {
    Host::with(|builder, folder| builder.audit_log(path(folder)))
}

/// The log's lines.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("there is a log");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// What a line says, without when, and the words of a refusal.
fn told(mut line: Value) -> Value {
    let fields = line.as_object_mut().expect("a line has fields");
    let time = fields.remove("time").expect("each line has its time");
    let time = time.as_str().expect("it's a text");
    let is_time =
        time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.';
    assert!(is_time && time.starts_with("20"), "{time}");
    if let Some(message) = fields.remove("message") {
        assert!(
            fields["outcome"] == "refused" && message.as_str().is_some_and(|it| it.len() > 10),
            "{message}"
        );
    }
    line
}

fn sha256(file: &Path) -> String {
    // By another program than ours.
    let output = Command::new("sha256sum").arg(file).output().expect("coreutils are there");
    String::from_utf8(output.stdout).expect("it prints hex")[..64].to_owned()
}

#[test]
fn the_hosts_own_commands_are_written_down() {
    let host = host();
    let (first, second) = (logic("1001"), logic("1002"));
    host.push(first.as_path());
    host.push(second.as_path());
    host.engine.push(second.as_path()).expect("it's active already");
    host.refused("older-version", first.as_path());
    host.push(Push::file(first.as_path()).allow_older());
    host.commit();
    host.rollback();
    host.engine.commit(MODULE).expect_err("there is nothing to commit");
    host.engine.rollback("chat").expect_err("there is no such module");
    host.engine.snapshot(MODULE).expect_err("no snapshots are kept");
    host.engine.restore(MODULE).expect_err("no snapshots are kept");
    host.engine.trust(MODULE).expect_err("nothing is suspect");

    let own = json!({ "road": "host" });
    let pushed = |file: &Path, version: &str, outcome: &str| {
        json!({
            "asker": own, "action": "push", "module": MODULE, "candidate": format!("logic.v{version}.so"),
            "version": version, "sha256": sha256(file), "outcome": outcome,
        })
    };
    let with = |mut line: Value, field: &str, value: Value| {
        line[field] = value;
        line
    };
    let refused = |action: &str, module: &str, code: &str| json!({ "asker": own, "action": action, "module": module, "outcome": "refused", "code": code });
    let expected = [
        pushed(&first, "1001", "published"),
        pushed(&second, "1002", "published"),
        pushed(&second, "1002", "unchanged"),
        with(pushed(&first, "1001", "refused"), "code", "older-version".into()),
        with(pushed(&first, "1001", "published"), "allowed", json!(["older"])),
        json!({ "asker": own, "action": "commit", "module": MODULE, "version": "1001", "outcome": "committed" }),
        json!({ "asker": own, "action": "rollback", "module": MODULE, "version": "1002", "outcome": "rolled-back" }),
        refused("commit", MODULE, "nothing-to-commit"),
        refused("rollback", "chat", "unknown-module"),
        refused("snapshot", MODULE, "no-snapshots"),
        refused("restore", MODULE, "no-snapshots"),
        refused("trust", MODULE, "nothing-suspect"),
    ];
    let log = path(host.folder());
    let found: Vec<_> = lines(&log).into_iter().map(told).collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(fs::metadata(&log).expect("it is there").permissions().mode() & 0o777, 0o600);
    let status = host.engine.status().audit.expect("there is a log");
    assert_eq!((status.lines, status.failures), (expected.len() as u64, 0));
}

/// What is logged is what was pushed, not the copy, in which a flag may be cleared.
#[test]
fn the_hash_is_of_the_bytes_as_they_were_pushed() {
    let host = host();
    let file = Fixture::new("1001").nodelete().build();
    host.push(file.as_path());
    let line = &lines(&path(host.folder()))[0];
    assert_eq!(line["sha256"], sha256(&file));
    assert_eq!(line["sha256"], format!("{:x}", Sha256::digest(fs::read(&file).expect("it was built"))));
}

#[test]
fn each_road_says_who_has_come_by_it() {
    let mut entrance = None;
    let host = Host::with(|builder, folder| {
        let entrance = entrance.insert(Entrance::new(folder));
        let builder = builder.audit_log(path(folder)).admin(folder.join("admin.sock"));
        entrance.open(builder.watch(folder.join("modules")))
    });
    let log = path(host.folder());
    let of = |entry: &Value| (entry["action"].clone(), entry["outcome"].clone());

    // The folder.
    let modules = host.folder().join("modules");
    fs::copy(logic("1001"), modules.join("logic.v1001.so")).expect("the folder can be written");
    wait_until("it's pushed", || lines(&log).len() == 1);
    fs::write(modules.join("logic.v1002.so"), "garbage").expect("the folder can be written");
    wait_until("it's refused", || lines(&log).len() == 2);
    let found = lines(&log);
    let folder = json!({ "road": "folder", "folder": modules.canonicalize().expect("it is there") });
    assert_eq!((&found[0]["asker"], &found[0]["sha256"]), (&folder, &sha256(&logic("1001")).into()));
    assert_eq!(of(&found[0]), ("push".into(), "published".into()));
    assert_eq!((&found[1]["asker"], &found[1]["code"]), (&folder, &"not-elf".into()));
    assert_eq!(found[1]["sha256"], format!("{:x}", Sha256::digest("garbage")));
    assert!(found[1]["version"].is_null() && found[1]["module"] == "logic", "{}", found[1]);

    // The socket.
    let liveswap = |arguments: &[&str]| {
        let mut liveswap = Command::new(command());
        liveswap.env_remove("LIVESWAP_ADMIN").arg("--admin").arg(host.folder().join("admin.sock"));
        let child = liveswap.args(arguments).stdout(std::process::Stdio::null()).spawn();
        let mut child = child.expect("the command can be run");
        let process = child.id();
        (child.wait().expect("it ends").success(), process)
    };
    let (is_done, pusher) = liveswap(&["push", logic("1003").to_str().expect("a plain path")]);
    assert!(is_done);
    let (is_done, returner) = liveswap(&["rollback", MODULE]);
    assert!(is_done);
    let found = lines(&log);
    let user = rustix::process::geteuid().as_raw();
    let socket = |process: u32| json!({ "road": "socket", "user": user, "process": process });
    assert_eq!((&found[2]["asker"], of(&found[2])), (&socket(pusher), ("push".into(), "published".into())));
    assert_eq!((&found[2]["version"], &found[2]["sha256"]), (&"1003".into(), &sha256(&logic("1003")).into()));
    assert_eq!(
        (&found[3]["asker"], of(&found[3])),
        (&socket(returner), ("rollback".into(), "rolled-back".into()))
    );
    assert_eq!(found[3]["version"], "1001");

    // The network. Who isn't let in leaves no line.
    let client = entrance.expect("it was made").client(host.engine.network_address().expect("it is served"));
    let candidate = fs::read(logic("1004")).expect("it was built");
    assert_eq!(client.ask(None, "POST", "/push?name=logic.v1004.so", &candidate).status, 401);
    assert_eq!(client.ask(Some(READ), "POST", "/commit/logic", b"").status, 403);
    assert_eq!(client.ask(Some(PUSH), "POST", "/push?name=logic.v1004.so", &candidate).status, 200);
    assert_eq!(client.ask(Some(PUSH), "POST", "/commit/logic", b"").status, 200);
    let forged =
        "/push?name=x.so%0A%7B%22outcome%22%3A%22published%22%7D%0A&allow_older=true&allow_one_way=true";
    assert_eq!(client.ask(Some(PUSH), "POST", forged, b"forged").code(), (422, "not-elf"));
    for target in ["/rollback/chat", "/restore/logic", "/trust/logic", "/snapshot/logic"] {
        assert!(client.ask(Some(PUSH), "POST", target, b"").status >= 400, "{target}");
    }
    let found = lines(&log);
    assert_eq!(found.len(), 4 + 3 + 4, "{found:#?}");
    assert!(found[4..].iter().all(|entry| {
        let asker = &entry["asker"];
        let address = asker["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1:"));
        asker["road"] == "network" && asker["token"] == "ci" && address
    }));
    assert_eq!((of(&found[4]), &found[4]["version"]), (("push".into(), "published".into()), &"1004".into()));
    assert_eq!(found[4]["sha256"], sha256(&logic("1004")));
    assert_eq!(of(&found[5]), ("commit".into(), "committed".into()));
    assert_eq!(of(&found[6]), ("push".into(), "refused".into()));
    assert_eq!(found[6]["candidate"], "x.so\n{\"outcome\":\"published\"}\n");
    assert_eq!(found[6]["allowed"], json!(["older", "one-way"]));
    let actions: Vec<_> =
        found[7..].iter().map(|entry| entry["action"].as_str().unwrap_or_default()).collect();
    assert_eq!(actions, ["rollback", "restore", "trust", "snapshot"]);
}

#[test]
fn snapshots_and_restores_are_written_down_when_they_are_done() {
    let host = Host::with(|builder, folder| {
        builder.audit_log(path(folder)).snapshots(folder.join("snapshots")).snapshot_at_end(false)
    });
    host.push(logic("1001"));
    host.engine.snapshot(MODULE).expect("it's taken");
    host.engine.restore(MODULE).expect("it's restored");
    let found: Vec<_> = lines(&path(host.folder()))[1..]
        .iter()
        .map(|line| (line["action"].clone(), line["outcome"].clone()))
        .collect();
    let expected = [("snapshot", "taken"), ("restore", "restored")];
    assert_eq!(found, expected.map(|(action, outcome)| (action.into(), outcome.into())));
}

#[test]
fn the_log_only_grows_and_one_that_is_moved_away_is_begun_anew() {
    let host = host();
    let log = path(host.folder());
    let mut before = Vec::new();
    for round in 0..5 {
        host.engine.commit(MODULE).expect_err("there is nothing to commit");
        let now = fs::read(&log).expect("there is a log");
        assert!(now.len() > before.len() && now.starts_with(&before), "{round}");
        before = now;
    }
    let moved = host.folder().join("audit.log.1");
    fs::rename(&log, &moved).expect("it can be moved");
    host.engine.rollback(MODULE).expect_err("there is nothing to return to");
    assert_eq!(fs::read(&moved).expect("it is there"), before);
    assert_eq!(lines(&log).len(), 1);
    assert_eq!(lines(&log)[0]["action"], "rollback");

    // An engine that starts later goes on behind what is there.
    let kept = fs::read(&log).expect("there is a log");
    let other = Host::with(|builder, _| builder.audit_log(&log));
    other.engine.commit(MODULE).expect_err("there is nothing to commit");
    assert!(fs::read(&log).expect("there is a log").starts_with(&kept));
    assert_eq!(lines(&log).len(), 2);
}

/// A disk that is full costs lines, and nothing else. Without the right to mount one, the test says so.
#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let options = CString::new("size=16k,mode=700").expect("it has no zero");
    if let Err(error) = mount("none", folder.path(), "tmpfs", MountFlags::empty(), options.as_c_str()) {
        println!("skipped: can't mount a file system ({error})");
        return;
    }
    let host = Host::with(|builder, _| builder.audit_log(path(folder.path())));
    host.push(logic("1001"));
    let filler = folder.path().join("filler");
    // As much as there is room for.
    fs::write(&filler, vec![0; 1 << 20]).expect_err("the disk is smaller");
    let status = || host.engine.status().audit.expect("there is a log");
    while status().failures == 0 {
        host.engine.commit(MODULE).expect_err("there is nothing to commit");
        assert!(status().lines < 1000, "the disk isn't full");
    }
    let written = status().lines;
    host.push(logic("1002"));
    assert_eq!(host.version(), "1002");
    let after = status();
    assert!((after.lines, after.failures) == (written, 2), "{after:?}");
    assert!(after.last_failure.is_some_and(|reason| reason.contains("audit.log")));

    fs::remove_file(&filler).expect("it can be removed");
    host.commit();
    let text = fs::read_to_string(path(folder.path())).expect("there is a log");
    let last: Value =
        serde_json::from_str(text.lines().next_back().expect("it has lines")).expect("it is whole");
    assert_eq!((&last["action"], &last["outcome"]), (&"commit".into(), &"committed".into()));
    drop(host);
    unmount(folder.path(), UnmountFlags::DETACH).expect("it was mounted");
}

#[test]
fn what_the_engine_does_by_itself_is_written_down_with_the_reason() {
    let host = trial::serving(trial::policy(), |builder, folder| builder.audit_log(path(folder)));
    host.push(trial::bad("unwell"));
    trial::verdict(&host);
    let expected = json!({ "asker": { "road": "engine", "reason": "it isn't well: a tap drips" },
        "action": "rollback", "module": MODULE, "version": "1001", "outcome": "rolled-back" });
    wait_until("it's written down", || lines(&path(host.folder())).len() == 3);
    assert_eq!(told(lines(&path(host.folder())).remove(2)), expected);

    let host = Host::with(|builder, folder| {
        let builder = builder.audit_log(path(folder)).on_suspect(SuspectPolicy::Restore);
        builder.snapshots(folder.join("snapshots")).snapshot_at_end(false)
    });
    host.push(logic("1001"));
    host.engine.snapshot(MODULE).expect("it's taken");
    host.game().call(|game| game.panics_exclusively("half way")).expect_err("it panics");
    wait_until("it's written down", || lines(&path(host.folder())).len() == 3);
    let restored = told(lines(&path(host.folder())).remove(2));
    assert_eq!((&restored["action"], &restored["outcome"]), (&"restore".into(), &"restored".into()));
    assert_eq!(restored["asker"]["road"], "engine");
    assert!(restored["asker"]["reason"].to_string().contains("panics_exclusively"), "{restored}");
}
