//! The command while a migration goes on, against a server that plays an engine.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

const PUBLISHED: &str = r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "stages_us": {},
    "migrated": {"from_schema": 1, "to_schema": 2, "attempts": 3, "pause_us": 50, "shards": 1024}}}"#;
const TOLD: &str =
    "logic 1001 -> 1002 in 0.000 ms; schema 1 -> 2, paused 0.05 ms after 3 tries, 1024 shards\n";
const SWEPT: &str = "migrated: all of the state is in its new shape";

/// An engine as far as the command can tell: it answers a command once it has been asked for its status so often.
struct Played {
    _folder: TempDir,
    socket: PathBuf,
    candidate: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What it has to tell.
struct Part {
    /// Each is told once, and the last from then on.
    statuses: VecDeque<String>,
    /// Before the answer to a command.
    before: usize,
    answer: (u16, &'static str),
}

struct Stage {
    part: Mutex<Part>,
    told: Condvar,
}

impl Played {
    fn start(before: &[&str], answer: (u16, &'static str), after: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, candidate) = (folder.path().join("admin.sock"), folder.path().join("logic.v1002.so"));
        fs::write(&candidate, "a library").unwrap();
        let statuses = before.iter().chain(after).map(|module| (*module).to_owned()).collect();
        let part = Part { statuses, before: before.len(), answer };
        let stage = Arc::new(Stage { part: Mutex::new(part), told: Condvar::new() });
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn({
            let asked = asked.clone();
            move || {
                for client in listener.incoming() {
                    let (stage, asked, client) = (stage.clone(), asked.clone(), client.unwrap());
                    std::thread::spawn(move || stage.serve(client, &asked));
                }
            }
        });
        Self { _folder: folder, socket, candidate, asked }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liveswap"));
        command.arg("--admin").arg(&self.socket).args(arguments);
        command
    }

    fn push(&self, options: &[&str]) -> Output {
        self.command(&["push"]).arg(&self.candidate).args(options).output().unwrap()
    }

    fn asked_for(&self, target: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(target)).count()
    }
}

impl Stage {
    fn serve(&self, client: UnixStream, asked: &Mutex<Vec<String>>) {
        let mut client = BufReader::new(client);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if client.read_line(&mut line).unwrap() == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
            head += &line;
        }
        let target = head.split(' ').nth(1).unwrap().to_owned();
        asked.lock().unwrap().push(target.clone());
        if length > 0 {
            client.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            client.read_exact(&mut vec![0; length]).unwrap();
        }
        let (status, body) = if target == "/status" { (200, self.status()) } else { self.answer() };
        let head = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: {}\r\n\r\n", body.len());
        // Whoever asked may have ended.
        let _ = client.get_mut().write_all((head + &body).as_bytes());
    }

    fn status(&self) -> String {
        let mut part = self.part.lock().unwrap();
        part.before = part.before.saturating_sub(1);
        let last = part.statuses.len() == 1;
        let module = if last { part.statuses.front().cloned() } else { part.statuses.pop_front() };
        self.told.notify_all();
        format!(r#"{{"modules": [{}]}}"#, module.unwrap())
    }

    fn answer(&self) -> (u16, String) {
        let part = self.part.lock().unwrap();
        let part = self.told.wait_while(part, |part| part.before > 0).unwrap();
        (part.answer.0, part.answer.1.to_owned())
    }
}

/// A module's status.
fn module(phase: &str, version: &str, migration: &str) -> String {
    format!(
        r#"{{"name": "logic", "phase": "{phase}", "standby": null, "retired": [], "last_swap": null,
            "active": {{"slot": "A", "version": "{version}", "state_schema": 1, "in_flight": 0, "holders": []}},
            "swaps": {{"committed": 0, "rolled_back": 0, "refused": 0}}, "migration": {migration}}}"#
    )
}

/// A migration's.
fn migration(from: u32, to: u32, stage: &str, done: u32, more: &str) -> String {
    format!(
        r#"{{"from_schema": {from}, "to_schema": {to}, "stage": "{stage}", "shards": 1024, "done": {done},
            "attempts": 3 {more}}}"#
    )
}

const NOBODY: &str = r#", "waits_for": []"#;
const SOMEBODY: &str = r#", "waits_for": [{"thread": "worker", "thread_id": 7, "holds_by": "call", "method": "slow",
    "age_ms": 12}]"#;
const STUCK: &str = r#", "waits_for": [], "reason": "`health`: too large""#;

fn checking() -> String {
    module("checking", "1001", &migration(1, 2, "checking", 256, NOBODY))
}

fn waiting() -> String {
    module("handing-over", "1001", &migration(1, 2, "handing-over", 0, SOMEBODY))
}

fn at(stage: &str, done: u32) -> String {
    module("probation", "1002", &migration(1, 2, stage, done, NOBODY))
}

fn stuck() -> String {
    module("probation", "1002", &migration(1, 2, "stuck", 300, STUCK))
}

#[track_caller]
fn assert_told(output: &Output, code: i32, stdout: &str, stderr: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(str::from_utf8(&output.stdout).unwrap(), stdout);
    let told = str::from_utf8(&output.stderr).unwrap();
    assert_eq!(told.lines().collect::<Vec<_>>(), stderr);
}

#[test]
fn a_push_says_what_it_is_doing_and_waits_for_the_sweep() {
    let played = Played::start(
        &[&checking(), &checking(), &waiting(), &waiting()],
        (200, PUBLISHED),
        &[&at("sweeping", 410), &at("sweeping", 800), &at("done", 1024)],
    );
    let stderr = [
        "schema 1 -> 2: checking 25 %",
        "schema 1 -> 2: waiting for a moment without a call in the state: held by thread `worker` (7) in `slow` \
         for 12 ms, 3 tries so far",
        "schema 1 -> 2: sweeping 40 %",
        SWEPT,
    ];
    assert_told(&played.push(&["--allow-one-way"]), 0, TOLD, &stderr);
    assert_eq!(played.asked_for("/push?name=logic%2Ev1002%2Eso&allow_older=false&allow_one_way=true"), 1);
}

#[test]
fn quiet_it_waits_without_a_word() {
    let played = Played::start(&[], (200, PUBLISHED), &[&at("sweeping", 410), &at("done", 1024)]);
    assert_told(&played.push(&["--quiet"]), 0, TOLD, &[]);
    assert_eq!(played.asked_for("/status"), 2);
}

#[test]
fn it_need_not_wait() {
    let played = Played::start(&[&checking()], (200, PUBLISHED), &[&at("sweeping", 410)]);
    assert_told(&played.push(&["--no-wait"]), 0, TOLD, &["schema 1 -> 2: checking 25 %"]);
    assert_eq!(played.asked_for("/status"), 1);
}

#[test]
fn without_a_migration_nothing_is_followed() {
    let answer = r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "stages_us": {}}}"#;
    // What the swap before has left is nobody's concern.
    let played = Played::start(&[&at("done", 1024)], (200, answer), &[&at("sweeping", 410)]);
    assert_told(&played.push(&[]), 0, "logic 1001 -> 1002 in 0.000 ms\n", &[]);
    assert_eq!(played.asked_for("/status"), 1);
}

#[test]
fn a_refusal_is_the_last_line() {
    let answer = r#"{"code": "pause-missed", "message": "tried 40 times"}"#;
    let played = Played::start(&[&checking()], (409, answer), &[&checking()]);
    let stderr = ["schema 1 -> 2: checking 25 %", "error[pause-missed]: tried 40 times"];
    assert_told(&played.push(&[]), 1, "", &stderr);
}

#[test]
fn a_sweep_that_gets_stuck_and_is_rolled_back_is_no_success() {
    let back = |stage| module("probation", "1001", &migration(2, 1, stage, 0, NOBODY));
    let rolling_back = module("checking", "1002", &migration(2, 1, "checking", 512, NOBODY));
    let played = Played::start(&[], (200, PUBLISHED), &[&stuck(), &rolling_back, &back("sweeping")]);
    let error = "error[migration-stuck]: a part of the state can't be migrated: `health`: too large: rolled back: \
                 logic 1001 is active, on schema 1: mend the migration, or the value, and push again";
    assert_told(&played.push(&[]), 1, TOLD, &["schema 2 -> 1: checking 50 %", error]);

    let played = Played::start(&[], (200, PUBLISHED), &[&back("done")]);
    let error = error.replace("`health`: too large", "the host's log says why");
    assert_told(&played.push(&[]), 1, TOLD, &[&error]);
}

#[test]
fn a_sweep_that_stays_stuck_is_told() {
    let played = Played::start(&[], (200, PUBLISHED), &[&stuck()]);
    let error = "error[migration-stuck]: a part of the state can't be migrated: `health`: too large: it stays so: \
                 calls that need that part fail: mend the migration, or the value, and push again";
    assert_told(&played.push(&["--quiet"]), 1, TOLD, &[error]);

    let failed =
        module("probation", "1002", &migration(2, 1, "failed", 0, r#", "waits_for": [], "reason": "no""#));
    let played = Played::start(&[], (200, PUBLISHED), &[&stuck(), &failed]);
    let error = error.replace("it stays so: calls that need that part fail", "it can't be rolled back: no");
    assert_told(&played.push(&[]), 1, TOLD, &[&error]);
}

#[test]
fn another_migration_ends_the_wait() {
    let other = module("checking", "1002", &migration(2, 3, "checking", 0, NOBODY));
    let played = Played::start(&[], (200, PUBLISHED), &[&other]);
    let told = "another migration of the state has begun: `status` shows how far it is";
    assert_told(&played.push(&[]), 0, TOLD, &[told]);
}

#[test]
fn a_rollback_is_followed_too() {
    let answer = r#"{"module": "logic", "from": "1002", "to": "1001", "stages_us": {},
        "migrated": {"from_schema": 2, "to_schema": 1, "attempts": 1, "pause_us": 50, "shards": 1024}}"#;
    let done = module("serving", "1001", &migration(2, 1, "done", 1024, NOBODY));
    let played = Played::start(&[], (200, answer), &[&done]);
    let told = "logic 1002 -> 1001 in 0.000 ms; schema 2 -> 1, paused 0.05 ms after 1 try, 1024 shards\n";
    let output = played.command(&["rollback", "logic"]).output().unwrap();
    assert_told(&output, 0, told, &[SWEPT]);
}

#[test]
fn a_snapshot_a_restore_and_trust_are_told() {
    for (command, answer, told) in [
        (
            "snapshot",
            r#"{"path": "snapshots/logic.1", "bytes": 2048, "taken_at_ms": 1, "took_us": 3100, "pause_us": 50}"#,
            "snapshot of logic: snapshots/logic.1, 2.0 KiB, in 3.1 ms, paused 0.05 ms\n",
        ),
        (
            "restore",
            r#"{"module": "logic", "path": "snapshots/logic.1"}"#,
            "the state of logic is restored from snapshots/logic.1\n",
        ),
        ("trust", r#"{"module": "logic"}"#, "the state of logic is trusted as it is\n"),
    ] {
        let played = Played::start(&[], (200, answer), &[]);
        let output = played.command(&[command, "logic"]).output().unwrap();
        assert_told(&output, 0, told, &[]);
        assert_eq!(played.asked_for(&format!("/{command}/logic")), 1);
    }
}

/// Both ends of a terminal: what is drawn comes out of the first.
fn terminal() -> (File, Stdio) {
    let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&outside).unwrap();
    unlockpt(&outside).unwrap();
    let name = ptsname(&outside, Vec::new()).unwrap();
    let inside = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = rustix::termios::Winsize { ws_row: 25, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&inside, size).unwrap();
    (File::from(outside), Stdio::from(inside))
}

/// All that is drawn until the other end is closed.
fn drawn(mut outside: File) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    // Reading from a terminal that nobody has any more is an error.
    while let Ok(count @ 1..) = outside.read(&mut buffer) {
        all.extend(&buffer[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn on_a_terminal_a_bar_is_drawn() {
    let played = Played::start(
        &[&checking(), &waiting()],
        (200, PUBLISHED),
        &[&at("sweeping", 410), &at("sweeping", 800), &at("done", 1024)],
    );
    let candidate: &Path = &played.candidate;
    let (outside, inside) = terminal();
    let mut command = played.command(&["push"]);
    command.arg(candidate).env("TERM", "xterm").stdout(Stdio::piped()).stderr(inside);
    let child = command.spawn().unwrap();
    // It holds the terminal's inside.
    drop(command);
    let drawn = drawn(outside);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), str::from_utf8(&output.stdout).unwrap()), (Some(0), TOLD));
    for part in [
        "checking     [=======>",
        " 25 %  256 of 1024 shards",
        "waiting for a moment without a call in the state: held by thread `worker` (7) in `slow`",
        "sweeping     [============>",
        " 40 %  410 of 1024 shards",
        " 78 %  800 of 1024 shards",
    ] {
        assert!(drawn.contains(part), "{part:?} isn't in {drawn:?}");
    }
    // What is left is one line.
    assert!(drawn.ends_with(&format!("\u{1b}[2K{SWEPT}\r\n")), "{drawn:?}");
}

/// A module without a migration, with its probation or its verdict.
fn judged(more: &str) -> String {
    let begun = module("probation", "1002", "null");
    format!("{}, {more}}}", begun.strip_suffix('}').unwrap())
}

fn on_probation(version: &str) -> String {
    judged(&format!(
        r#""probation": {{"version": "{version}", "since_ms": 1, "ends_ms": 2, "calls": 0, "panics": 0, "errors": 0,
            "methods": [], "health": "good"}}"#
    ))
}

fn verdict(number: u64, verdict: &str) -> String {
    judged(&format!(
        r#""last_verdict": {{"number": {number}, "version": "1002", "verdict": "{verdict}", "at_ms": 1,
            "reason": {{"code": "panics"}}, "message": "5 of 100 calls panicked"}}"#
    ))
}

const SWAPPED: &str = r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "stages_us": {}}}"#;

#[test]
fn a_push_that_waits_for_the_verdict_succeeds_once_its_version_is_committed() {
    // What was found of an earlier one of that name isn't about this one.
    let before = verdict(1, "rolled-back");
    let played =
        Played::start(&[&before], (200, SWAPPED), &[&on_probation("1002"), &verdict(2, "committed")]);
    let told = "logic 1001 -> 1002 in 0.000 ms\nlogic 1002 is committed\n";
    assert_told(&played.push(&["--quiet", "--wait"]), 0, told, &[]);
    assert_eq!(played.asked_for("/status"), 3);
}

#[test]
fn a_push_that_waits_for_the_verdict_has_an_exit_status_of_its_own_if_that_is_to_roll_back() {
    let before = module("serving", "1001", "null");
    let played =
        Played::start(&[&before], (200, SWAPPED), &[&on_probation("1002"), &verdict(1, "rolled-back")]);
    let stderr = ["error[panics]: 1002 was rolled back: 5 of 100 calls panicked: mend it, and push again"];
    assert_told(&played.push(&["--quiet", "--wait"]), 3, "logic 1001 -> 1002 in 0.000 ms\n", &stderr);
}

#[test]
fn a_push_that_waits_where_nothing_is_judged_says_so() {
    let before = module("serving", "1001", "null");
    for after in [module("probation", "1002", "null"), on_probation("1003")] {
        let played = Played::start(&[&before], (200, SWAPPED), &[&after]);
        let output = played.push(&["--quiet", "--wait"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(told.starts_with("error[no-verdict]: found no verdict on 1002"), "{told}");
        assert!(told.contains("module `logic` has no policy that would give one"), "{told}");
    }
}
