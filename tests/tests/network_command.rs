//! The `liveswap` command against a host on the network.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use liveswap_tests::demo::{command, workspace};
use liveswap_tests::network::{BasicConstraints, Entrance, IsCa, PUSH, READ, line};
use liveswap_tests::{Host, logic};
use serde_json::Value;
use tempfile::TempDir;

struct Served {
    host: Host,
    entrance: Entrance,
    token: PathBuf,
}

impl Served {
    fn new() -> Self {
        let mut entrance = None;
        let host = Host::with(|builder, folder| entrance.insert(Entrance::new(folder)).open(builder));
        let token = host.folder().join("token");
        fs::write(&token, format!("{PUSH}\n")).expect("the folder can be written");
        Self { host, entrance: entrance.expect("it was made"), token }
    }

    /// A version of the logic, with its signature beside it.
    fn signed(&self, version: &str) -> PathBuf {
        let path = self.host.folder().join(format!("logic.v{version}.so"));
        fs::copy(logic(version), &path).expect("the folder can be written");
        self.entrance.signer.sign_file(&path);
        path
    }

    fn address(&self) -> String {
        let port = self.host.engine.network_address().expect("it serves the network").port();
        format!("https://localhost:{port}")
    }

    /// The command, with all that it needs but the token.
    fn liveswap(&self) -> Command {
        let mut liveswap = plain();
        liveswap.arg("--admin").arg(self.address()).arg("--certificate").arg(&self.entrance.certificate);
        liveswap
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(self.liveswap().arg("--token-file").arg(&self.token).args(arguments))
    }
}

fn plain() -> Command {
    let mut liveswap = Command::new(command());
    for variable in ["LIVESWAP_ADMIN", "LIVESWAP_TOKEN", "LIVESWAP_CERTIFICATE"] {
        liveswap.env_remove(variable);
    }
    liveswap
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the command can be run")
}

#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

#[track_caller]
fn refused(output: Output, code: &str) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let told = String::from_utf8(output.stderr).expect("it prints UTF-8");
    let message = told.strip_prefix(&format!("error[{code}]: "));
    message.unwrap_or_else(|| panic!("expected `{code}`: {told}")).to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn it_does_over_the_network_what_it_does_over_the_socket() {
    let served = Served::new();
    let (first, second) = (served.signed("1001"), served.signed("1002"));
    refused(served.run(&["push", text(&logic("1001"))]), "unsigned");
    assert!(done(served.run(&["push", text(&first)])).starts_with("logic none -> 1001 in "));
    assert!(done(served.run(&["push", text(&second)])).starts_with("logic 1001 -> 1002 in "));
    assert!(done(served.run(&["push", text(&second)])).starts_with("unchanged: logic 1002"));
    assert!(done(served.run(&["rollback", "logic"])).starts_with("logic 1002 -> 1001 in "));
    assert_eq!(served.host.version(), "1001");
    refused(served.run(&["commit", "chat"]), "unknown-module");
    refused(served.run(&["snapshot", "logic"]), "no-snapshots");
    let status: Value = serde_json::from_str(&done(served.run(&["status", "--json"]))).expect("it's JSON");
    assert_eq!(status["modules"][0]["active"]["version"], "1001");
}

#[test]
fn a_token_that_it_makes_works() {
    let served = Served::new();
    let made = done(run(plain().args(["token", "new-one", "--role", "read"])));
    let (token, entry) = made.split_once('\n').expect("there are two lines");
    let token = token.rsplit_once(": ").expect("it's shown").1;
    let entry = entry.trim_end().rsplit_once(": ").expect("it's shown").1;
    assert_eq!(entry, line("read", "new-one", token));
    assert_eq!(token.len(), 64);
    assert_ne!(done(run(plain().args(["token", "new-one", "--role", "read"]))), made, "it's random");
    served.entrance.write_tokens(&[entry.to_owned()]);
    let with_token = |arguments: &[&str]| run(served.liveswap().env("LIVESWAP_TOKEN", token).args(arguments));
    assert!(done(with_token(&["status"])).starts_with("logic: empty"));
    let message = refused(with_token(&["commit", "logic"]), "forbidden");
    assert!(message.contains("new-one"), "{message}");
    for wrong in ["a b", "", "a/b", "ä"] {
        assert_eq!(run(plain().args(["token", wrong, "--role", "push"])).status.code(), Some(2), "{wrong}");
    }
    assert_eq!(run(plain().args(["token", "ci"])).status.code(), Some(2));
}

#[test]
fn a_wrong_token_is_told() {
    let served = Served::new();
    fs::write(&served.token, "wrong").expect("the folder can be written");
    refused(served.run(&["status"]), "unauthorized");
    refused(served.run(&["push", text(&logic("1001"))]), "unauthorized");
    fs::write(&served.token, READ).expect("the folder can be written");
    refused(served.run(&["push", text(&logic("1001"))]), "forbidden");
    done(served.run(&["status"]));
    // What is said in the command line counts.
    let both = || {
        served
            .liveswap()
            .env("LIVESWAP_TOKEN", "wrong")
            .arg("--token-file")
            .arg(&served.token)
            .arg("status")
            .output()
    };
    done(both().expect("it can be run"));
    fs::write(&served.token, "two\nlines").expect("the folder can be written");
    refused(served.run(&["status"]), "bad-token");
    fs::write(&served.token, "\n").expect("the folder can be written");
    refused(served.run(&["status"]), "no-token");
    fs::remove_file(&served.token).expect("it is there");
    refused(served.run(&["status"]), "unreadable");
    refused(run(served.liveswap().arg("status")), "no-token");
    refused(run(served.liveswap().env("LIVESWAP_TOKEN", "").arg("status")), "no-token");
}

#[test]
fn a_host_that_isnt_the_one_gets_no_token() {
    let served = Served::new();
    let other = TempDir::new().expect("a temporary folder can be made");
    let other = Entrance::new(other.path());
    let ask = |address: &str, certificate: &Path| {
        let mut liveswap = plain();
        liveswap.arg("--admin").arg(address).arg("--certificate").arg(certificate);
        run(liveswap.env("LIVESWAP_TOKEN", PUSH).arg("status"))
    };
    let message = refused(ask(&served.address(), &other.certificate), "untrusted-server");
    assert!(message.contains("localhost:") && message.contains("--certificate"), "{message}");
    let by_number = served.address().replace("localhost", "127.0.0.1");
    done(ask(&by_number, &served.entrance.certificate));
    refused(ask(&served.address(), &served.entrance.key), "bad-certificate");
    refused(ask(&served.address(), Path::new("missing.pem")), "unreadable");
    let mut without = plain();
    without.arg("--admin").arg(served.address()).env("LIVESWAP_TOKEN", PUSH);
    refused(run(without.arg("status")), "no-certificate");
    for address in ["http://localhost:1", "https://", "https://localhost:1/push"] {
        refused(ask(address, &served.entrance.certificate), "bad-address");
    }
    // The right certificate, for another name than the one that is asked for.
    served.entrance.renew_as(&["elsewhere.example"], IsCa::NoCa);
    refused(ask(&served.address(), &served.entrance.certificate), "untrusted-server");
    // As `openssl req -x509` makes them, unless it's told otherwise.
    served.entrance.renew_as(&["localhost"], IsCa::Ca(BasicConstraints::Unconstrained));
    let message = refused(ask(&served.address(), &served.entrance.certificate), "untrusted-server");
    assert!(message.contains("CA:TRUE"), "{message}");
    served.entrance.renew();
    done(ask(&served.address(), &served.entrance.certificate));
    // Nobody is there, or somebody who speaks something else.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let address = format!("https://{}", listener.local_addr().expect("it has one"));
    let talker = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("it connects");
        std::io::Write::write_all(&mut client, b"220 hello\r\n").expect("it can be told");
    });
    let message = refused(ask(&address, &served.entrance.certificate), "no-server");
    assert!(message.contains("check the address"), "{message}");
    talker.join().expect("it has spoken");
    refused(ask(&address, &served.entrance.certificate), "no-server");
}

/// Where there is no `openssl`, the test says so.
#[test]
fn a_certificate_made_as_the_readme_says_is_good() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("there is a README");
    let (_, made) = readme.split_once("```sh\nopenssl ").expect("it says how to make one");
    let (made, _) = made.split_once("\nliveswap ").expect("and what to do then");
    let made = format!("openssl {}", made.replace("game.example", "localhost"));
    let served = Served::new();
    let folder = TempDir::new().expect("a temporary folder can be made");
    let output = run(Command::new("sh").args(["-c", &made]).current_dir(folder.path()));
    if output.status.code() == Some(127) {
        println!("skipped: there is no openssl");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    for (from, to) in [("key.pem", &served.entrance.key), ("certificate.pem", &served.entrance.certificate)] {
        fs::copy(folder.path().join(from), to).expect("it was made");
    }
    assert!(done(served.run(&["status"])).starts_with("logic: empty"));
}
