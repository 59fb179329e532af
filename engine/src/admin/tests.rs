use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::Uid;
use serde_json::Value;
use tempfile::TempDir;

use super::COMMANDS_MAX;
use crate::{BuildError, Builder, Engine};

#[liveswap_state::interface]
trait Game {}

fn builder(socket: &Path) -> Builder {
    Engine::builder().module::<dyn Game>("logic").candidate_size_max(1024).admin(socket)
}

fn engine() -> (TempDir, PathBuf, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let engine = builder(&socket).build().unwrap();
    (folder, socket, engine)
}

/// What building an engine on this socket fails with.
fn refusal(socket: &Path) -> std::io::Error {
    match builder(socket).build() {
        Err(BuildError::System { source, .. }) => source,
        other => panic!("expected a refused socket, got {other:?}"),
    }
}

/// Sends bytes as they are, and reads the answer to its end.
fn raw(socket: &Path, request: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

fn ask(socket: &Path, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
    let length = body.len();
    let mut request = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend(body);
    let (status, body) = raw(socket, &request);
    (status, serde_json::from_str(&body).unwrap())
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    assert!(answer.1["message"].is_string(), "{answer:?}");
    (answer.0, answer.1["code"].as_str().unwrap())
}

#[test]
fn the_status_of_an_engine_without_versions() {
    let (_folder, socket, _engine) = engine();
    let (status, body) = ask(&socket, "GET", "/status", b"");
    assert_eq!(status, 200);
    let module = &body["modules"][0];
    assert_eq!((module["name"].as_str(), module["phase"].as_str()), (Some("logic"), Some("empty")));
    assert!(module["active"].is_null() && module["standby"].is_null(), "{module}");
}

#[test]
fn the_registry_of_an_engine_without_versions() {
    let (_folder, socket, _engine) = engine();
    let (status, body) = ask(&socket, "GET", "/registry", b"");
    assert_eq!(status, 200);
    let module = &body["modules"][0];
    assert!(module["name"] == "logic" && module["active"].is_null(), "{module}");
    assert_eq!(code(&ask(&socket, "POST", "/registry", b"")), (405, "wrong-method"));
}

#[test]
fn what_isnt_done_has_a_status_and_a_code() {
    let (_folder, socket, _engine) = engine();
    let ask = |method: &str, target: &str, body: &[u8]| ask(&socket, method, target, body);
    let push = "/push?name=logic.v1.so";
    assert_eq!(code(&ask("POST", push, b"garbage")), (422, "not-elf"));
    assert_eq!(code(&ask("POST", push, b"")), (422, "not-elf"));
    assert_eq!(code(&ask("POST", "/push", b"garbage")), (400, "bad-request"));
    assert_eq!(code(&ask("POST", "/push?name=x&allow_older=perhaps", b"")), (400, "bad-request"));
    assert_eq!(code(&ask("POST", "/push?name=x&allow_one_way=1", b"")), (400, "bad-request"));
    for command in ["rollback", "commit", "snapshot", "restore", "trust"] {
        assert_eq!(
            code(&ask("POST", &format!("/{command}/chat"), b"")),
            (404, "unknown-module"),
            "{command}"
        );
        assert_eq!(code(&ask("POST", &format!("/{command}/%ff"), b"")), (400, "bad-request"), "{command}");
        assert_eq!(code(&ask("GET", &format!("/{command}/logic"), b"")), (405, "wrong-method"), "{command}");
    }
    assert_eq!(code(&ask("POST", "/rollback/logic", b"")), (409, "no-predecessor"));
    assert_eq!(code(&ask("POST", "/commit/logic", b"")), (409, "nothing-to-commit"));
    assert_eq!(code(&ask("GET", "/nothing", b"")), (404, "unknown-route"));
    assert_eq!(code(&ask("GET", "/push?name=x", b"")), (405, "wrong-method"));
    let (_, status) = ask("GET", "/status", b"");
    assert_eq!(status["modules"][0]["swaps"]["refused"], 2);
    // Whatever is allowed, it's a library all the same.
    let allowed = "/push?name=logic.v1.so&allow_older=true&allow_one_way=true";
    assert_eq!(code(&ask("POST", allowed, b"garbage")), (422, "not-elf"));
}

#[test]
fn without_snapshots_there_is_none_to_take_or_to_restore() {
    let (_folder, socket, _engine) = engine();
    let ask = |command: &str| ask(&socket, "POST", &format!("/{command}/logic"), b"");
    assert_eq!(code(&ask("snapshot")), (409, "no-snapshots"));
    assert_eq!(code(&ask("restore")), (409, "no-state"));
    assert_eq!(code(&ask("trust")), (409, "nothing-suspect"));
}

#[test]
fn without_a_state_there_is_nothing_to_take_a_snapshot_of() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let _engine = builder(&socket).snapshots(folder.path().join("snapshots")).build().unwrap();
    assert_eq!(code(&ask(&socket, "POST", "/snapshot/logic", b"")), (409, "no-state"));
    assert_eq!(code(&ask(&socket, "POST", "/restore/logic", b"")), (409, "no-state"));
    let (_, status) = ask(&socket, "GET", "/status", b"");
    assert_eq!(status["modules"][0]["snapshots"]["taken"], 0, "{status}");
}

#[test]
fn what_is_too_large_isnt_read_to_its_end() {
    let (_folder, socket, _engine) = engine();
    // The body never comes: the answer does, so nobody waited for it.
    let (status, body) =
        raw(&socket, b"POST /push?name=x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n");
    assert_eq!(status, 413);
    assert!(body.contains("too-large"), "{body}");
    // In chunks, it is known to be too large only once more than the limit has come.
    let mut request =
        b"POST /push?name=x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n401\r\n".to_vec();
    request.extend([b'x'; 0x401]);
    let (status, body) = raw(&socket, &request);
    assert_eq!(status, 413);
    assert!(body.contains("too-large"), "{body}");
}

#[test]
fn the_socket_is_private_and_goes_with_the_engine() {
    let (_folder, socket, engine) = engine();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(engine);
    assert_eq!(fs::symlink_metadata(&socket).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_dead_socket_is_replaced_and_a_live_one_isnt() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let engine = builder(&socket).build().unwrap();
    assert_eq!(ask(&socket, "GET", "/status", b"").0, 200);
    assert_eq!(refusal(&socket).kind(), ErrorKind::AddrInUse);
    assert_eq!(ask(&socket, "GET", "/status", b"").0, 200);
    drop(engine);
}

#[test]
fn what_isnt_a_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    for taken in [&file, &link] {
        assert_eq!(refusal(taken).kind(), ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::read(&file).unwrap(), b"kept");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    for nameless in ["", "/", "folder/.."] {
        assert_eq!(refusal(Path::new(nameless)).kind(), ErrorKind::InvalidInput, "{nameless}");
    }
}

#[test]
fn a_socket_that_took_its_place_is_left_alone() {
    let (_folder, socket, engine) = engine();
    fs::remove_file(&socket).unwrap();
    let _other = UnixListener::bind(&socket).unwrap();
    drop(engine);
    assert!(UnixStream::connect(&socket).is_ok());
}

#[test]
fn clients_that_stall_are_bounded_and_dont_hide_the_status() {
    let (_folder, socket, _engine) = engine();
    let request =
        b"POST /push?name=x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    let stall = || {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(request).unwrap();
        // Asked for its body, it has its place among the commands.
        stream.read_exact(&mut [0; 25]).unwrap();
        stream
    };
    let stalled: Vec<_> = (0..COMMANDS_MAX).map(|_| stall()).collect();
    assert_eq!(code(&ask(&socket, "POST", "/commit/logic", b"")), (409, "busy"));
    assert_eq!(ask(&socket, "GET", "/status", b"").0, 200);
    drop(stalled);
    while code(&ask(&socket, "POST", "/commit/logic", b"")) == (409, "busy") {
        std::thread::yield_now();
    }
    assert_eq!(code(&ask(&socket, "POST", "/commit/logic", b"")), (409, "nothing-to-commit"));
}

#[test]
fn a_client_that_stalls_doesnt_keep_the_engine() {
    let (_folder, socket, engine) = engine();
    let mut stalled = UnixStream::connect(&socket).unwrap();
    stalled.write_all(b"POST /push?name=x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    // Clients are accepted in their order, so this one's answer says that the other was.
    assert_eq!(ask(&socket, "GET", "/status", b"").0, 200);
    let started = std::time::Instant::now();
    drop(engine);
    assert!(started.elapsed() < super::FAREWELL * 3);
}

#[test]
fn an_engine_can_be_built_and_dropped_inside_another_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (_folder, socket, engine) = engine();
        refusal(&socket);
        drop(engine);
    });
}

/// Root can be another user for a moment. Nobody else can, and then the test says so.
#[test]
fn another_user_is_refused_even_if_the_socket_is_open_to_all() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can ask as another user");
        return;
    }
    let (folder, socket, _engine) = engine();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let stranger = std::thread::spawn({
        let socket = socket.clone();
        move || {
            // This thread alone.
            let nobody = Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            [("GET", "/status"), ("POST", "/commit/logic")]
                .map(|(method, target)| ask(&socket, method, target, b""))
        }
    });
    for refused in stranger.join().unwrap() {
        assert_eq!(code(&refused), (403, "forbidden"));
        assert!(refused.1["message"].as_str().unwrap().contains("user 65534"), "{refused:?}");
    }
    assert_eq!(ask(&socket, "GET", "/status", b"").0, 200);
}
