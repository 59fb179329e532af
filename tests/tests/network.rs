//! The admin API over the network: who gets in, what they may do there, and what one address can't do to the
//! others.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use liveswap::error::NetworkError;
use liveswap::{BuildError, Engine, NetworkAdmin};
use liveswap_tests::log::Log;
use liveswap_tests::network::{Client, Entrance, PUSH, READ, line};
use liveswap_tests::{Host, logic, wait_until};
use tempfile::TempDir;

/// How many connections one address may have, as the documentation says.
const CONNECTIONS_OF_ONE: usize = 16;

/// A host that serves the network, and a client of it.
fn serve() -> (Host, Entrance, Client) {
    serve_with(u64::MAX)
}

fn serve_with(candidate_size_max: u64) -> (Host, Entrance, Client) {
    let mut entrance = None;
    let host = Host::with(|builder, folder| {
        let entrance = entrance.insert(Entrance::new(folder));
        entrance.open(builder.candidate_size_max(candidate_size_max))
    });
    let entrance = entrance.expect("it was made");
    let client = entrance.client(host.engine.network_address().expect("it serves the network"));
    (host, entrance, client)
}

#[test]
fn nothing_listens_unless_it_is_asked_for() {
    let host = Host::with(|builder, folder| builder.admin(folder.join("admin.sock")));
    assert_eq!(host.engine.network_address(), None);
}

#[test]
fn nobody_gets_in_without_a_token() {
    let (_host, _, client) = serve();
    let refused = client.ask(None, "GET", "/status", b"");
    assert_eq!(refused.code(), (401, "unauthorized"));
    assert_eq!(refused.header("www-authenticate"), Some("bearer"));
    assert!(!refused.head.contains("access-control") && refused.header("location").is_none(), "{refused:?}");
    assert_eq!(client.ask(Some("wrong"), "GET", "/status", b"").code(), (401, "unauthorized"));
    assert_eq!(client.ask(Some("wrong"), "POST", "/push?name=x", b"x").code(), (401, "unauthorized"));
    assert_eq!(client.ask(None, "GET", "/nothing", b"").code(), (401, "unauthorized"));
    assert_eq!(client.ask(None, "OPTIONS", "/status", b"").code(), (401, "unauthorized"));
    // The hash that stands in the file isn't the token.
    let hash = line("push", "ci", PUSH).rsplit_once(' ').expect("it ends with the hash").1.to_owned();
    assert_eq!(client.ask(Some(&hash), "GET", "/status", b"").code(), (401, "unauthorized"));
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200);
}

#[test]
fn the_hosts_log_says_who_was_turned_away_and_no_token() {
    let log = Log::of_this_process();
    let (_host, _, client) = serve();
    client.ask(Some("a secret that nobody knows"), "GET", "/of-this-test", b"");
    client.ask(Some(READ), "POST", "/of-this-test", b"");
    let records = log.records();
    let told: Vec<_> = records
        .iter()
        .filter(|record| record.text("target") == "/of-this-test")
        .map(|record| (record.text("code"), record.text("address").starts_with("127.0.0.1:")))
        .collect();
    assert_eq!(told, [("unauthorized", true), ("forbidden", true)]);
    for secret in ["a secret that nobody knows", READ, PUSH] {
        assert!(!format!("{records:?}").contains(secret), "{secret}");
    }
}

#[test]
fn who_may_look_may_do_nothing_else() {
    let (host, _, client) = serve();
    host.push(logic("1001"));
    let status = client.ask(Some(READ), "GET", "/status", b"");
    assert_eq!((status.status, &status.body["modules"][0]["active"]["version"]), (200, &"1001".into()));
    let candidate = fs::read(logic("1002")).expect("it was built");
    assert_eq!(
        client.ask(Some(READ), "POST", "/push?name=logic.v1002.so", &candidate).code(),
        (403, "forbidden")
    );
    for command in ["rollback", "commit", "snapshot", "restore", "trust"] {
        let refused = client.ask(Some(READ), "POST", &format!("/{command}/logic"), b"");
        assert_eq!(refused.code(), (403, "forbidden"), "{command}");
    }
    let registry = client.ask(Some(READ), "GET", "/registry", b"");
    assert_eq!((registry.status, &registry.body["modules"][0]["active"]["version"]), (200, &"1001".into()));
    assert_eq!(client.ask(Some(READ), "POST", "/status", b"").code(), (403, "forbidden"));
    assert_eq!(client.ask(Some(READ), "GET", "/nothing", b"").code(), (403, "forbidden"));
    assert_eq!(host.version(), "1001");
}

#[test]
fn who_may_push_pushes_and_rolls_back() {
    let (host, _, client) = serve();
    host.push(logic("1001"));
    let candidate = fs::read(logic("1002")).expect("it was built");
    let ask = |method: &str, target: &str, body: &[u8]| client.ask(Some(PUSH), method, target, body);
    let unsigned = client.clone().unsigned().ask(Some(PUSH), "POST", "/push?name=logic.v1002.so", &candidate);
    assert_eq!(unsigned.code(), (403, "unsigned"), "{unsigned:?}");
    let pushed = ask("POST", "/push?name=logic.v1002.so", &candidate);
    assert_eq!((pushed.status, &pushed.body["published"]["to"]), (200, &"1002".into()), "{pushed:?}");
    assert_eq!(host.version(), "1002");
    let returned = ask("POST", "/rollback/logic", b"");
    assert_eq!((returned.status, &returned.body["to"]), (200, &"1001".into()), "{returned:?}");
    assert_eq!(host.version(), "1001");
    assert_eq!(ask("POST", "/commit/chat", b"").code(), (404, "unknown-module"));
    assert_eq!(ask("GET", "/nothing", b"").code(), (404, "unknown-route"));
    assert_eq!(ask("GET", "/push?name=x", b"").code(), (405, "wrong-method"));
}

#[test]
fn plain_text_gets_nothing() {
    let (_host, _, client) = serve();
    let mut stream = client.connect();
    stream.write_all(b"GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is taken in");
    let mut answer = Vec::new();
    // However it ends: what matters is what came.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.windows(4).any(|bytes| bytes == b"HTTP" || bytes == b"http"), "{answer:?}");
    assert!(answer.len() < 16, "an alert has seven bytes: {answer:?}");
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    let (_host, _, client) = serve_with(10_000);
    let push = "/push?name=logic.v1.so";
    // Its bytes are under way already, and the reason arrives all the same.
    assert_eq!(client.ask(Some(PUSH), "POST", push, &vec![b'x'; 2_000_000]).code(), (413, "too-large"));
    assert_eq!(client.ask(Some(PUSH), "POST", push, &[b'x'; 10_000]).code(), (422, "not-elf"));
    let head = format!("POST {push} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {PUSH}\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n4e20\r\n{}", "x".repeat(20_000));
    assert_eq!(client.send(chunked.as_bytes()).expect("it's answered").code(), (413, "too-large"));
    let announced = format!("{head}content-length: 1000000000000\r\n\r\n");
    assert_eq!(client.send(announced.as_bytes()).expect("it's answered").code(), (413, "too-large"));
    for target in ["/commit/logic", "/nothing"] {
        assert_eq!(client.ask(Some(PUSH), "POST", target, &[b'x'; 5000]).code(), (413, "too-large"));
    }
    // What isn't let in isn't read, however long it is.
    assert_eq!(client.ask(Some(READ), "POST", push, &vec![b'x'; 2_000_000]).code(), (403, "forbidden"));
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let (_host, _, client) = serve();
    for more in ["x".repeat(100_000), "y\r\nx: ".repeat(100)] {
        let request = format!(
            "GET /status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {PUSH}\r\nx: {more}\r\n\r\n"
        );
        let refused = client.send(request.as_bytes()).expect("it's answered");
        assert_eq!(refused.status, 431, "{refused:?}");
    }
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200);
    // The longest signature that is looked at has 16 KiB, and a third more in Base64.
    let signature = STANDARD.encode(vec![b'x'; 16 * 1024]);
    let request = format!(
        "POST /push?name=logic.v1.so HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {PUSH}\r\n\
         liveswap-signature: {signature}\r\ncontent-length: 1\r\n\r\nx"
    );
    let refused = client.send(request.as_bytes()).expect("it's answered");
    assert_eq!(refused.code(), (422, "malformed-signature"));
}

#[test]
fn clients_that_stall_block_nobody() {
    let (host, _, client) = serve();
    let silent: Vec<_> = (0..5).map(|_| client.connect()).collect();
    // The beginning of a handshake's record, which says that more follows.
    let mut begun = client.connect();
    begun.write_all(&[22, 3, 1, 2, 0, 1]).expect("it is taken in");
    let mut half = client.shake_hands().expect("it shakes hands");
    half.write_all(b"GET /status HTTP/1.1\r\nhost: local").expect("it is taken in");
    half.flush().expect("it is taken in");
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200);
    // Nor do they keep the engine.
    let started = Instant::now();
    drop(host);
    assert!(started.elapsed() < Duration::from_secs(10));
    drop((silent, begun, half));
}

#[test]
fn a_handshake_has_its_time() {
    let (_host, _, client) = serve();
    let mut silent = client.connect();
    assert_eq!(silent.read(&mut [0; 64]).expect("it's ended, not cut off"), 0);
}

#[test]
fn one_address_has_so_many_connections_and_leaves_the_others_room() {
    let (_host, _, client) = serve();
    let elsewhere = client.clone().from([127, 0, 0, 2]);
    let silent: Vec<_> = (0..CONNECTIONS_OF_ONE).map(|_| client.connect()).collect();
    let mut one_more = client.connect();
    // Closed at once, long before a handshake would have taken too long.
    one_more.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket has a timeout");
    assert_eq!(one_more.read(&mut [0; 64]).expect("it's closed"), 0);
    assert_eq!(elsewhere.ask(Some(PUSH), "GET", "/status", b"").status, 200);
    drop(silent);
    let status = format!("GET /status HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {PUSH}\r\n\r\n");
    wait_until("there is room again", || client.send(status.as_bytes()).is_ok_and(|it| it.status == 200));
}

#[test]
fn an_address_that_fails_too_often_is_shut_out() {
    let (_host, _, client) = serve();
    let mut attempts = 0;
    let shut_out = loop {
        let refused = client.ask(Some("wrong"), "GET", "/status", b"");
        if refused.code() != (401, "unauthorized") {
            break refused;
        }
        attempts += 1;
        assert!(attempts < 100, "it may try for ever");
    };
    assert!(attempts >= 10, "{attempts}");
    assert_eq!(shut_out.code(), (429, "too-many-requests"));
    let wait: u64 = shut_out.header("retry-after").expect("it says when").parse().expect("in seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    // The right one doesn't help, or one could go on trying until it does. On a slow machine, an attempt may have been
    // forgiven meanwhile: so another is used up right before.
    wait_until("the right one is refused, too", || {
        let status = |token: &str| client.ask(Some(token), "GET", "/status", b"").status;
        status("wrong") == 429 && status(PUSH) == 429
    });
    assert_eq!(client.from([127, 0, 0, 2]).ask(Some(PUSH), "GET", "/status", b"").status, 200);
}

#[test]
fn a_token_may_ask_so_often() {
    let (_host, _, client) = serve();
    // Several at once, so that they are faster than the pace on a slow machine too.
    let ask = || (0..200).map(|_| client.ask(Some(READ), "GET", "/status", b"")).find(|it| it.status != 200);
    let refused = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        let answers = askers.into_iter().filter_map(|asker| asker.join().expect("it asks on"));
        answers.last().expect("they ask too often")
    });
    assert_eq!(refused.code(), (429, "too-many-requests"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200);
    let again = || client.ask(Some(READ), "GET", "/status", b"").status == 200;
    wait_until("it may ask again", again);
}

#[test]
fn the_file_of_tokens_is_read_anew() {
    let (_host, entrance, client) = serve();
    let status = |token: &str| client.ask(Some(token), "GET", "/status", b"");
    entrance.write_tokens(&["# only the new one".to_owned(), line("read", "new", "another")]);
    assert_eq!(status("another").status, 200);
    assert_eq!(status(PUSH).code(), (401, "unauthorized"));
    entrance.write_tokens(&[line("push", "new", "another"), line("push", "ci", PUSH)]);
    assert_eq!(client.ask(Some("another"), "POST", "/commit/logic", b"").code(), (409, "nothing-to-commit"));
    assert_eq!(status(PUSH).status, 200);
    // One that can't be used lets nobody in, and says so only in the log.
    entrance.set_mode_of_tokens(0o640);
    let refused = status(PUSH);
    assert_eq!(refused.code(), (503, "no-tokens"));
    assert!(!refused.body.to_string().contains("0640"), "{refused:?}");
    entrance.set_mode_of_tokens(0o600);
    assert_eq!(status(PUSH).status, 200);
    entrance.write_tokens(&["push".to_owned()]);
    assert_eq!(status(PUSH).code(), (503, "no-tokens"));
}

#[test]
fn a_new_certificate_is_used_from_the_next_connection_on() {
    let (_host, entrance, client) = serve();
    let server = entrance.clone();
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200);
    fs::write(&server.certificate, "no certificate").expect("it can be written");
    assert_eq!(client.ask(Some(PUSH), "GET", "/status", b"").status, 200, "the earlier one serves on");
    entrance.renew();
    assert!(client.shake_hands().is_err(), "it trusts the earlier one");
}

/// Why a host with these settings can't be built.
fn refusal(settings: NetworkAdmin) -> NetworkError {
    let builder = Engine::builder().module::<dyn fixture_api::Game>("logic").admin_over_network(settings);
    match builder.build() {
        Err(BuildError::Network(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn what_cant_be_served_is_said_at_the_start() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let entrance = Entrance::new(folder.path());
    let refused = |change: &dyn Fn(&mut NetworkAdmin)| {
        let mut settings = entrance.settings();
        change(&mut settings);
        let error = refusal(settings);
        (error.code(), error.to_string())
    };
    let missing = folder.path().join("missing");
    assert_eq!(refused(&|it| it.certificate = missing.clone()).0, "bad-certificate");
    assert_eq!(refused(&|it| it.key = missing.clone()).0, "bad-key");
    assert_eq!(refused(&|it| it.tokens = missing.clone()).0, "unreadable-tokens");
    assert_eq!(refused(&|it| it.certificate = it.tokens.clone()).0, "bad-certificate");
    assert_eq!(refused(&|it| it.key = it.tokens.clone()).0, "bad-key");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let address = taken.local_addr().expect("it has one");
    assert_eq!(refused(&|it| it.address = address).0, "no-address");

    let other = TempDir::new().expect("a temporary folder can be made");
    let other = Entrance::new(other.path());
    // The certificate is of another key.
    fs::copy(&other.key, &entrance.key).expect("it can be copied");
    assert_eq!(refused(&|_| {}).0, "bad-certificate");
    entrance.renew();

    fs::set_permissions(&entrance.key, Permissions::from_mode(0o644)).expect("it is there");
    assert_eq!(refused(&|_| {}).0, "open-key");
    entrance.renew();

    if rustix::process::geteuid().is_root() {
        chown(&entrance.key, Some(4711), None).expect("root may");
        let (code, message) = refused(&|_| {});
        assert!(code == "key-of-another" && message.contains("4711"), "{message}");
        entrance.renew();
    } else {
        println!("skipped: only root can give a key away");
    }

    entrance.set_mode_of_tokens(0o604);
    let (code, message) = refused(&|_| {});
    assert!(code == "open-tokens" && message.contains("0604") && message.contains("chmod"), "{message}");
    entrance.write_tokens(&["nobody ci 00".to_owned()]);
    assert_eq!(refused(&|_| {}).0, "bad-tokens");
}
