//! The command against a real engine, as far as that goes without a logic library.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use liveswap::Engine;
use tempfile::TempDir;

#[liveswap_state::interface]
trait Game {}

const CANDIDATE_SIZE_MAX: u64 = 1024;

fn engine() -> (TempDir, PathBuf, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let engine = Engine::builder()
        .module::<dyn Game>("logic")
        .candidate_size_max(CANDIDATE_SIZE_MAX)
        .admin(&socket)
        .build()
        .unwrap();
    (folder, socket, engine)
}

fn liveswap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_liveswap"));
    command.env_remove("LIVESWAP_ADMIN");
    command
}

fn ask(socket: &Path, arguments: &[&str]) -> Output {
    liveswap().arg("--admin").arg(socket).args(arguments).output().unwrap()
}

/// What it printed; it did what was asked.
#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// It didn't do what was asked, and said so in one line with this code. Gives the message.
#[track_caller]
fn refused(output: Output, code: &str) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let message = stderr.strip_prefix(&format!("error[{code}]: "));
    message.unwrap_or_else(|| panic!("expected {code}, found {stderr}")).to_owned()
}

/// A server that answers the first request with these bytes.
fn impostor(socket: &Path, answer: &'static [u8]) -> std::thread::JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert_ne!(client.read(&mut request).unwrap(), 0);
        client.write_all(answer).unwrap();
    })
}

#[test]
fn the_status_is_shown_in_both_forms() {
    let (_folder, socket, _engine) = engine();
    let table = done(ask(&socket, &["status"]));
    assert!(table.starts_with("logic: empty\n  lifecycle  registered\n  active     -\n"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&done(ask(&socket, &["status", "--json"]))).unwrap();
    assert_eq!(json["modules"][0]["name"], "logic");
}

#[test]
fn the_socket_can_come_from_the_environment() {
    let (_folder, socket, _engine) = engine();
    let from = |socket: &Path| liveswap().env("LIVESWAP_ADMIN", socket).arg("status").output().unwrap();
    done(from(&socket));
    refused(from(Path::new("")), "no-admin-socket");
    refused(liveswap().arg("status").output().unwrap(), "no-admin-socket");
}

#[test]
fn the_engines_refusals_are_passed_on() {
    let (folder, socket, _engine) = engine();
    let file = folder.path().join("logic.v1.so");
    fs::write(&file, "garbage").unwrap();
    let file = file.to_str().unwrap();
    refused(ask(&socket, &["push", file]), "not-elf");
    refused(ask(&socket, &["push", "--allow-older", file]), "not-elf");
    refused(ask(&socket, &["rollback", "logic"]), "no-predecessor");
    refused(ask(&socket, &["commit", "logic"]), "nothing-to-commit");
    let strange = "../ä?&/%";
    let message = refused(ask(&socket, &["rollback", strange]), "unknown-module");
    assert!(message.contains(strange) && message.contains("`logic`"), "{message}");
    refused(ask(&socket, &["commit", strange]), "unknown-module");
}

#[test]
fn a_candidate_that_is_too_large_is_named() {
    let (folder, socket, _engine) = engine();
    // The second is far more than a socket takes in before somebody reads from it.
    for length in [CANDIDATE_SIZE_MAX + 1, 64 * 1024 * 1024] {
        let name = "strange & name+ü.so";
        let file = folder.path().join(name);
        fs::File::create(&file).unwrap().set_len(length).unwrap();
        let message = refused(ask(&socket, &["push", file.to_str().unwrap()]), "too-large");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn what_cant_be_read_isnt_sent() {
    let (folder, socket, _engine) = engine();
    refused(ask(&socket, &["push", "missing.so"]), "unreadable");
    refused(ask(&socket, &["push", folder.path().to_str().unwrap()]), "not-a-file");
    refused(ask(&socket, &["push", "/dev/zero"]), "not-a-file");
}

#[test]
fn without_a_server_it_says_so() {
    let (folder, socket, engine) = engine();
    drop(engine);
    refused(ask(&socket, &["status"]), "no-server");
    drop(UnixListener::bind(&socket).unwrap());
    refused(ask(&socket, &["status"]), "no-server");
    let message = refused(ask(folder.path(), &["status"]), "no-server");
    assert!(message.contains("check the path"), "{message}");
}

#[test]
fn a_server_that_isnt_an_engine_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (answer, code)) in [
        ("", "no-answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{", "no-answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "bad-answer"),
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}", "bad-answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n\u{7}", "bad-answer"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = folder.path().join(number.to_string());
        let server = impostor(&socket, answer.as_bytes());
        refused(ask(&socket, &["status"]), code);
        server.join().unwrap();
    }
}

#[test]
fn inspecting_needs_no_server() {
    let inspect = |file: &str| liveswap().args(["inspect", file]).output().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.so");
    fs::write(&garbage, "garbage").unwrap();
    refused(inspect(garbage.to_str().unwrap()), "not-elf");
    refused(inspect("missing.so"), "unreadable");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in [&["unknown"][..], &["push"], &["rollback", ""], &[]] {
        assert_eq!(liveswap().args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
