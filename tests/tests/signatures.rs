//! Signatures: what isn't signed by a trusted key is refused before anything of it runs.
//!
//! The libraries here have a constructor that leaves a mark when they are loaded.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use liveswap::{BuildError, Builder, Engine, Push, PushError, PushOutcome};
use liveswap_tests::demo::command;
use liveswap_tests::log::{Log, Record};
use liveswap_tests::signing::{COMMENT, Signer, beside, keys, set_mode, trusting};
use liveswap_tests::{Fixture, Host, Patched, logic};
use tracing::Level;

const NAME: &str = "logic.v1002.so";

/// A host that serves version 1001, and a candidate.
struct Scene {
    signer: Signer,
    host: Host,
    mark: PathBuf,
    candidate: Vec<u8>,
    refused: u64,
}

impl Scene {
    /// A host that demands a signature for every push.
    fn new() -> Self {
        Self::of(|builder| builder.require_signatures(true))
    }

    fn of(change: impl FnOnce(Builder) -> Builder) -> Self {
        let signer = Signer::new();
        let host = trusting(&[&signer], |builder, _| change(builder));
        let first = fs::read(logic("1001")).unwrap();
        let signature = signer.sign(&first);
        host.push(Push::content("logic.v1001.so", first).signed(signature));
        let mark = host.folder().join("mark");
        let candidate = Fixture::new("1002").feature("constructor").build();
        let candidate = Patched::of(candidate).mark(&mark).bytes().to_vec();
        Self { signer, host, mark, candidate, refused: 0 }
    }

    fn keys(&self) -> PathBuf {
        keys(self.host.folder())
    }

    /// The candidate with a signature.
    fn signed(&self, signature: impl Into<String>) -> Push {
        Push::content(NAME, self.candidate.clone()).signed(signature)
    }

    fn good(&self) -> String {
        self.signer.sign(&self.candidate)
    }

    /// Pushes it, and it's refused without a trace, before any of its code ran.
    #[track_caller]
    fn refuses(&mut self, code: &str, push: impl Into<Push>) -> PushError {
        let error = self.host.engine.push(push).expect_err("it should be refused");
        assert_eq!(error.code(), code, "{error}");
        self.refused += 1;
        self.is_as_before(code);
        error
    }

    #[track_caller]
    fn is_as_before(&self, why: &str) {
        assert!(!self.mark.exists(), "{why}: code of the candidate has run");
        let status = self.host.status();
        assert_eq!((status.phase, status.swaps.refused), ("serving", self.refused), "{why}");
        assert_eq!(self.host.version(), "1001", "{why}: the active version doesn't answer");
        assert_eq!((self.host.mapped().len(), self.host.copies().len()), (1, 1), "{why}: something is left");
    }

    /// Pushes it, and it's published.
    #[track_caller]
    fn takes(&self, push: impl Into<Push>) {
        self.host.push(push);
        assert_eq!(self.host.version(), "1002");
        assert_eq!(fs::read(&self.mark).unwrap(), b"x", "its constructor is one that leaves a mark");
    }
}

/// What was told of a candidate.
fn told(candidate: &str) -> Vec<Record> {
    let records = Log::of_this_process().records().into_iter();
    records.filter(|record| record.text("candidate") == candidate).collect()
}

#[test]
fn what_a_trusted_key_has_signed_is_published_and_its_comment_is_logged() {
    Log::of_this_process();
    let scene = Scene::new();
    let signature = scene.good();
    // A name that no other test pushes.
    let name = "signed, with its comment.so";
    scene.takes(Push::content(name, scene.candidate.clone()).signed(signature));
    let holds: Vec<_> = told(name).into_iter().filter(|record| !record.text("comment").is_empty()).collect();
    let [holds] = &holds[..] else { panic!("{holds:?}") };
    assert_eq!((holds.level, holds.text("comment")), (Level::INFO, COMMENT));
    assert_eq!(holds.text("key"), scene.signer.id());
}

#[test]
fn what_isnt_signed_is_refused_and_logged_once() {
    Log::of_this_process();
    let mut scene = Scene::new();
    let name = "logic.v1002.7.so";
    let error = scene.refuses("unsigned", Push::content(name, scene.candidate.clone())).to_string();
    assert!(error.contains("the host demands one for every push"), "{error}");
    assert!(error.contains("minisign -Sm"), "it says what to do: {error}");
    let warnings: Vec<_> = told(name).into_iter().filter(|record| record.level <= Level::WARN).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].text("code"), "unsigned");
}

#[test]
fn a_key_that_isnt_trusted_is_named_with_those_that_are() {
    let mut scene = Scene::new();
    let other = Signer::new();
    let push = scene.signed(other.sign(&scene.candidate));
    let error = scene.refuses("unknown-key", push).to_string();
    assert!(error.contains(&other.id()) && error.contains(&scene.signer.id()), "{error}");
    // A key's number is anybody's to write; it's no proof.
    let push = scene.signed(scene.signer.forge(&scene.candidate));
    let error = scene.refuses("bad-signature", push).to_string();
    assert!(error.contains(&scene.signer.id()), "{error}");
}

#[test]
fn a_flipped_bit_in_the_file_is_found_wherever_it_is() {
    const PLACES: usize = 64;
    let mut scene = Scene::new();
    let signature = scene.good();
    let last = scene.candidate.len() - 1;
    for place in (0..=PLACES).map(|part| part * last / PLACES) {
        let mut flipped = scene.candidate.clone();
        flipped[place] ^= 1 << (place % 8);
        scene.refuses("bad-signature", Push::content(NAME, flipped).signed(signature.clone()));
    }
    // Cut or longer, it's another file.
    let mut other = scene.candidate.clone();
    other.push(0);
    scene.refuses("bad-signature", Push::content(NAME, other).signed(signature.clone()));
    scene.refuses("bad-signature", Push::content(NAME, Vec::new()).signed(signature.clone()));
    scene.takes(scene.signed(signature));
}

/// All but the first line, which the tool itself calls untrusted.
#[test]
fn a_flipped_bit_in_the_signature_is_found() {
    let mut scene = Scene::new();
    let signature = scene.good();
    let from = signature.find('\n').unwrap();
    for index in (from..signature.trim_end().len()).step_by(3) {
        let mut flipped = signature.clone().into_bytes();
        flipped[index] ^= 1;
        let flipped = String::from_utf8(flipped).expect("ASCII with its lowest bit flipped is ASCII");
        let error = scene.host.engine.push(scene.signed(flipped)).expect_err("it should be refused");
        let expected = ["bad-signature", "malformed-signature", "unknown-key", "legacy-signature"];
        assert!(expected.contains(&error.code()), "byte {index}: {error}");
        scene.refused += 1;
        scene.is_as_before(&format!("byte {index}"));
    }
    scene.takes(scene.signed(signature));
}

#[test]
fn a_signature_cut_anywhere_is_refused() {
    let mut scene = Scene::new();
    let signature = scene.good();
    let whole = signature.trim_end();
    let lines = whole.match_indices('\n').flat_map(|(place, _)| [place, place + 1]);
    for length in lines.chain([0, 1, whole.len() / 3, whole.len() / 2, whole.len() - 1]) {
        scene.refuses("malformed-signature", scene.signed(&whole[..length]));
    }
    scene.takes(scene.signed(whole));
}

#[test]
fn the_signature_of_another_file_isnt_one_of_this() {
    let mut scene = Scene::new();
    let other = scene.signer.sign(&fs::read(logic("1002")).unwrap());
    scene.refuses("bad-signature", scene.signed(other));
    scene.refuses("malformed-signature", scene.signed("what the key's owner had for lunch"));
}

#[test]
fn a_signature_that_is_too_large_is_refused() {
    let mut scene = Scene::new();
    let long = format!("{}{}", "x".repeat(16 * 1024), scene.good());
    let error = scene.refuses("signature-too-large", scene.signed(long.clone())).to_string();
    assert!(error.contains("16384"), "{error}");
    let path = scene.host.folder().join(NAME);
    fs::write(&path, &scene.candidate).unwrap();
    fs::write(beside(&path), long).unwrap();
    scene.refuses("signature-too-large", &*path);
}

#[test]
fn a_files_signature_lies_beside_it() {
    let mut scene = Scene::new();
    let path = scene.host.folder().join(NAME);
    fs::write(&path, &scene.candidate).unwrap();
    scene.refuses("unsigned", &*path);
    fs::create_dir(beside(&path)).unwrap();
    scene.refuses("unreadable-signature", &*path);
    fs::remove_dir(beside(&path)).unwrap();
    Signer::new().sign_file(&path);
    scene.refuses("unknown-key", &*path);
    // What is given along counts more than what lies there.
    scene.signer.sign_file(&path);
    scene.refuses("malformed-signature", Push::file(&path).signed("nothing"));
    scene.takes(&*path);
}

/// The private copy differs from the user's file in this flag. What is signed is the user's file.
#[test]
fn a_library_whose_copy_is_changed_is_signed_as_it_was() {
    let scene = Scene::new();
    let flagged = fs::read(Fixture::new("1002").nodelete().build()).unwrap();
    let signature = scene.signer.sign(&flagged);
    scene.host.push(Push::content(NAME, flagged.clone()).signed(signature));
    let copies: Vec<_> = scene.host.copies().into_iter().map(|copy| fs::read(copy).unwrap()).collect();
    assert!(!copies.contains(&flagged), "the flag was cleared in the copy");
}

#[test]
fn keys_are_changed_without_a_restart() {
    let mut scene = Scene::new();
    let old = scene.keys().join(format!("{}.pub", scene.signer.id()));
    let new = Signer::new();
    let by_new = new.sign(&scene.candidate);
    scene.refuses("unknown-key", scene.signed(by_new.clone()));
    new.trust(&scene.keys());
    // Both hold: the same bytes again are no news, but their signature is looked at first.
    scene.takes(scene.signed(by_new.clone()));
    let again = scene.host.engine.push(scene.signed(scene.good()));
    assert!(matches!(again, Ok(PushOutcome::Unchanged { .. })), "{again:?}");
    fs::remove_file(old).unwrap();
    let error = scene.host.refused("unknown-key", scene.signed(scene.good())).to_string();
    assert!(error.contains(&new.id()), "{error}");
    assert!(matches!(scene.host.engine.push(scene.signed(by_new)), Ok(PushOutcome::Unchanged { .. })));
    // What was taken in before can still be returned to.
    scene.host.rollback();
    assert_eq!(scene.host.version(), "1001");
}

#[test]
fn keys_that_others_may_change_trust_nobody() {
    let mut scene = Scene::new();
    let (keys, good) = (scene.keys(), scene.good());
    set_mode(&keys, 0o757);
    let error = scene.refuses("exposed-keys", scene.signed(good.clone())).to_string();
    assert!(error.contains(keys.to_str().unwrap()) && error.contains("chmod o-w"), "{error}");
    set_mode(&keys, 0o755);
    // One that others may write to trusts nobody, and the other holds.
    let exposed = Signer::new();
    set_mode(&exposed.trust(&keys), 0o646);
    scene.refuses("unknown-key", scene.signed(exposed.sign(&scene.candidate)));
    fs::rename(&keys, keys.with_file_name("elsewhere")).unwrap();
    scene.refuses("unreadable-keys", scene.signed(good.clone()));
    fs::rename(keys.with_file_name("elsewhere"), &keys).unwrap();
    scene.takes(scene.signed(good));
}

#[test]
fn a_host_that_could_take_nothing_isnt_built() {
    let refused = |change: &dyn Fn(Builder, &Path) -> Builder| {
        let folder = tempfile::tempdir().unwrap();
        let builder = Engine::builder().module::<dyn fixture_api::Game>("logic");
        match change(builder, folder.path()).build() {
            Err(BuildError::Signatures(error)) => error.code(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&|builder, _| builder.require_signatures(true)), "no-trusted-keys");
    assert_eq!(refused(&|builder, folder| builder.trusted_keys(folder.join("keys"))), "unreadable-keys");
    let open = |builder: Builder, folder: &Path| {
        set_mode(folder, 0o1777);
        builder.trusted_keys(folder)
    };
    assert_eq!(refused(&open), "exposed-keys");
}

#[test]
fn without_the_demand_the_owner_neednt_sign_but_a_signature_that_is_given_must_hold() {
    let mut scene = Scene::of(|builder| builder);
    let other = Signer::new();
    scene.refuses("unknown-key", scene.signed(other.sign(&scene.candidate)));
    scene.refuses("malformed-signature", scene.signed(""));
    let path = scene.host.folder().join(NAME);
    fs::write(&path, &scene.candidate).unwrap();
    other.sign_file(&path);
    scene.refuses("unknown-key", &*path);
    fs::remove_file(beside(&path)).unwrap();
    scene.takes(&*path);
}

#[test]
fn where_nobody_is_trusted_a_signature_says_nothing() {
    let host = Host::serving(logic("1001"));
    host.push(Push::file(logic("1002")).signed("whatever it says"));
    assert_eq!(host.version(), "1002");
}

/// Pushes over the admin socket, and gives the answer's status and body.
fn post(socket: &Path, signature: Option<&str>, body: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let header = signature.map(|text| format!("liveswap-signature: {text}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "POST /push?name={NAME} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// By the command that is in every system.
fn base64(path: &Path) -> String {
    let output = Command::new("base64").arg("-w0").arg(path).output().expect("base64 is in every system");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn over_http_a_signature_comes_in_a_header() {
    let signer = Signer::new();
    let host = trusting(&[&signer], |builder, folder| {
        builder.require_signatures(true).admin(folder.join("admin.sock"))
    });
    let socket = host.folder().join("admin.sock");
    let path = host.folder().join(NAME);
    fs::copy(logic("1002"), &path).unwrap();
    let content = fs::read(&path).unwrap();
    let refused = |signature: Option<&str>, body: &[u8], status: u16, code: &str| {
        let answer = post(&socket, signature, body);
        assert!(answer.0 == status && answer.1.contains(&format!("\"{code}\"")), "{code}: {answer:?}");
    };
    refused(None, &content, 403, "unsigned");
    // Answered before the body is read, so none is sent.
    refused(Some("not, Base64"), b"", 422, "malformed-signature");
    Signer::new().sign_file(&path);
    refused(Some(&base64(&beside(&path))), &content, 403, "unknown-key");
    signer.sign_file(&path);
    let answer = post(&socket, Some(&base64(&beside(&path))), &content);
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(host.version(), "1002");
}

#[test]
fn the_command_sends_the_signature_that_lies_beside_the_file_or_is_named() {
    let signer = Signer::new();
    let host = trusting(&[&signer], |builder, folder| {
        builder.require_signatures(true).admin(folder.join("admin.sock"))
    });
    let path = host.folder().join(NAME);
    fs::copy(logic("1002"), &path).unwrap();
    let elsewhere = host.folder().join("signature");
    let push = |more: &[&Path]| {
        let mut liveswap = Command::new(command());
        liveswap.arg("--admin").arg(host.folder().join("admin.sock")).arg("push").arg(&path).args(more);
        let output = liveswap.output().expect("the command can be run");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let refused = |more: &[&Path], code: &str| {
        let (status, told) = push(more);
        assert!(status == Some(1) && told.starts_with(&format!("error[{code}]: ")), "{told}");
    };
    let named = [Path::new("--signature"), &*elsewhere];
    refused(&[], "unsigned");
    refused(&named, "unreadable");
    fs::write(&elsewhere, vec![b'x'; 1 << 20]).unwrap();
    refused(&named, "signature-too-large");
    signer.sign_file(&path);
    fs::rename(beside(&path), &elsewhere).unwrap();
    Signer::new().sign_file(&path);
    refused(&[], "unknown-key");
    assert_eq!(push(&named).0, Some(0));
    assert_eq!(host.version(), "1002");
    signer.sign_file(&path);
    assert_eq!(push(&[]).0, Some(0), "unchanged, and well signed");
}

/// The public `minisign` command with these arguments, in a folder.
fn minisign(folder: &Path, arguments: &[&str]) {
    let output = Command::new("minisign").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn what_the_public_command_signs_is_signed() {
    if Command::new("minisign").arg("-v").output().is_err() {
        println!("skipped: no `minisign` command");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    minisign(folder.path(), &["-G", "-W", "-p", "release.pub", "-s", "release.key"]);
    let host = trusting(&[], |builder, keys_of| {
        let key = keys(keys_of).join("release.pub");
        fs::copy(folder.path().join("release.pub"), &key).unwrap();
        set_mode(&key, 0o644);
        builder.require_signatures(true)
    });
    for version in ["1001", "1002"] {
        let name = format!("logic.v{version}.so");
        let path = folder.path().join(&name);
        fs::copy(logic(version), &path).unwrap();
        host.refused("unsigned", &*path);
        minisign(folder.path(), &["-S", "-l", "-s", "release.key", "-m", &name]);
        host.refused("legacy-signature", &*path);
        minisign(folder.path(), &["-S", "-s", "release.key", "-m", &name]);
        host.push(&*path);
        assert_eq!(host.version(), version);
    }
}
