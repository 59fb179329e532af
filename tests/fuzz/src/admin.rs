//! The admin API under a fuzzer: a connection's bytes, to an engine that serves a small module.
//!
//! In an input, `@1001@` and `@1002@` stand for the two libraries that the module has, each as a whole body in chunks:
//! a fuzzer could never put one together. Behind the input comes one request more, which asks for the connection's
//! end. So the answers come to their end, and each of them is looked at: it's well-formed, and it's the truth. After
//! each input the engine serves one of the two versions, the one that the answers say, and the state is whole.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fixture_api::Totals;
use liveswap::status::ModuleStatus;
use liveswap_tests::{Host, logic};
use serde_json::Value;

use crate::answers::{self, Answer, find};

/// What is in the state, and stays.
const TOTALS: Totals = Totals { hits: 3, recorded: 4 };
/// The most bytes that a push may carry. Each library has fewer.
const CANDIDATE_SIZE_MAX: u64 = 1 << 20;
/// How long a connection may go without an answer before it's taken to wait for the rest of a body.
const SILENCE: Duration = Duration::from_millis(50);
/// How long it takes at most until there is an answer to all.
const DEADLINE: Duration = Duration::from_secs(20);
/// The request behind the input.
const LAST: &[u8] = b"\r\nGET /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

struct Served {
    host: Host,
    socket: PathBuf,
    libraries: [(&'static [u8], Vec<u8>); 2],
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let host = Host::with(|builder, folder| {
            builder
                .admin(folder.join("admin.sock"))
                .snapshots(folder.join("snapshots"))
                .candidate_size_max(CANDIDATE_SIZE_MAX)
        });
        let [first, second] = ["1001", "1002"].map(logic);
        host.push(first.as_path());
        host.push(second.as_path());
        host.game().call(|game| game.hit(TOTALS.hits)).expect("it's served");
        host.game().call(|game| game.record(TOTALS.recorded)).expect("it's served");
        let socket = host.folder().join("admin.sock");
        let read = |path| std::fs::read(path).expect("a fixture can be read");
        let libraries = [(&b"@1001@"[..], read(first)), (&b"@1002@"[..], read(second))];
        assert!(libraries.iter().all(|(_, content)| (content.len() as u64) < CANDIDATE_SIZE_MAX));
        Served { host, socket, libraries }
    })
}

/// Builds the libraries, and starts the engine that all inputs go to.
pub fn begin() {
    served();
}

/// Sends an input over a connection of its own.
///
/// # Panics
///
/// If an answer isn't well-formed or isn't true, or if the engine isn't as it should be afterwards.
pub fn connection(input: &[u8]) {
    let served = served();
    let before = settled(served);
    let received = exchange(&served.socket, &served.expand(input));
    let had_head = find(input, b"HEAD").is_some();
    let answers = answers::parse(&received, had_head).unwrap_or_else(|what| panic!("{what}"));
    let after = settled(served);
    if !had_head {
        Account::of(&answers).check(&before, &after);
    }
    served.check(&after);
}

impl Served {
    /// The input, with libraries where it names them.
    fn expand(&self, input: &[u8]) -> Vec<u8> {
        let mut expanded = Vec::with_capacity(input.len());
        let mut rest = input;
        'input: while !rest.is_empty() {
            for (name, content) in &self.libraries {
                if let Some(behind) = rest.strip_prefix(*name) {
                    expanded.extend(format!("{:x}\r\n", content.len()).into_bytes());
                    expanded.extend(content);
                    expanded.extend(b"\r\n0\r\n\r\n");
                    rest = behind;
                    continue 'input;
                }
            }
            expanded.push(rest[0]);
            rest = &rest[1..];
        }
        expanded
    }

    /// Whether the engine is as it should be.
    fn check(&self, status: &ModuleStatus) {
        let version = self.host.version();
        assert!(["1001", "1002"].contains(&version.as_str()), "{version}");
        let active = status.active.as_ref().map(|slot| slot.version.to_string());
        assert_eq!(active.as_ref(), Some(&version), "the status isn't true: {status:?}");
        let standby = status.standby.as_ref().map(|slot| slot.version.to_string());
        assert_ne!(standby.as_ref(), Some(&version), "one version twice: {status:?}");
        assert_eq!(self.host.game().call(|game| game.totals()).expect("it's served"), TOTALS);
        // Two in the slots, those that are kept for a rollback, and those that are about to go.
        let copies = self.host.copies().len();
        assert!(copies <= 16, "{copies} copies are left: {status:?}");
    }
}

/// The status once nothing is under way.
fn settled(served: &Served) -> ModuleStatus {
    let started = Instant::now();
    loop {
        let status = served.host.status();
        if matches!(status.phase, "serving" | "probation") {
            return status;
        }
        assert!(started.elapsed() < DEADLINE, "it doesn't come to its end: {status:?}");
        std::thread::yield_now();
    }
}

/// What the answers say was done.
#[derive(Debug, Default)]
struct Account {
    active: Option<String>,
    rolled_back: u64,
    committed: u64,
    taken: u64,
}

impl Account {
    fn of(answers: &[Answer]) -> Self {
        let mut account = Self::default();
        answers.iter().filter(|answer| answer.status == 200).for_each(|answer| account.add(&answer.body));
        account
    }

    /// What was asked for shows in what the answer has.
    fn add(&mut self, body: &Value) {
        let has = |names: &[&str]| {
            let found = body.as_object().expect("it's one").keys();
            let mut found: Vec<&str> = found.map(String::as_str).collect();
            found.sort_unstable();
            found == names
        };
        if let Some(published) = body.get("published") {
            self.active = published["to"].as_str().map(str::to_owned);
            self.committed += u64::from(published.get("committed").is_some());
        } else if has(&["from", "module", "stages_us", "to"]) {
            self.active = body["to"].as_str().map(str::to_owned);
            self.rolled_back += 1;
        } else if has(&["module", "version"]) {
            self.committed += 1;
        } else if has(&["bytes", "path", "pause_us", "taken_at_ms", "took_us"]) {
            self.taken += 1;
        } else {
            let is_known = body.get("modules").is_some()
                || body.get("unchanged").is_some()
                || has(&["module"])
                || has(&["module", "path"]);
            assert!(is_known, "an answer that nobody knows: {body}");
        }
    }

    fn check(&self, before: &ModuleStatus, after: &ModuleStatus) {
        let version = |status: &ModuleStatus| status.active.as_ref().map(|slot| slot.version.to_string());
        let expected = self.active.clone().or(version(before));
        assert_eq!(version(after), expected, "{self:?}");
        let done = |of: fn(&ModuleStatus) -> u64| of(after) - of(before);
        assert_eq!(done(|status| status.swaps.rolled_back), self.rolled_back, "{self:?}");
        assert_eq!(done(|status| status.swaps.committed), self.committed, "{self:?}");
        let taken = |status: &ModuleStatus| status.snapshots.as_ref().map_or(0, |it| it.taken);
        assert_eq!(done(taken), self.taken, "{self:?}");
    }
}

/// Sends bytes, and reads until the connection is closed.
fn exchange(socket: &PathBuf, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(socket).expect("it's served");
    stream.set_read_timeout(Some(SILENCE)).expect("it isn't 0");
    stream.set_write_timeout(Some(DEADLINE)).expect("it isn't 0");
    send(&mut stream, bytes);
    send(&mut stream, LAST);
    let started = Instant::now();
    let (mut received, mut part) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => return received,
            Ok(length) => received.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return received,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let so_far = received.escape_ascii();
                assert!(started.elapsed() < DEADLINE, "the connection isn't closed: {so_far}");
                // It may wait for the rest of a body. If it waits for something else, this is no request, and ends it.
                send(&mut stream, &[0; 64 * 1024]);
            }
            Err(error) => panic!("can't read from the socket: {error}"),
        }
    }
}

/// The other end may have closed it already.
fn send(stream: &mut UnixStream, bytes: &[u8]) {
    if let Err(error) = stream.write_all(bytes) {
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    }
}
