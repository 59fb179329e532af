//! Bad input: each kind is refused with its own code, and nothing else happens.
//!
//! What must be refused before any code of the candidate runs is made from a library with a constructor,
//! which would leave a mark when it is loaded. That it does leave one is shown first.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use liveswap::error::{LoadError, PrepareError};
use liveswap::{Push, PushError, PushOutcome, inspect};
use liveswap_state::CONTRACT;
use liveswap_state::manifest::FOREIGN_FORMAT;
use liveswap_tests::{Fixture, Host, Patched, logic};

/// A host that serves version 1001, and what it looked like then.
struct Scene {
    host: Host,
    mark: PathBuf,
    mapped: usize,
    refused: u64,
}

impl Scene {
    fn new() -> Self {
        Self::of(Host::serving(logic("1001")))
    }

    fn of(host: Host) -> Self {
        let mark = host.folder().join("mark");
        let (mapped, refused) = (host.mapped().len(), host.status().swaps.refused);
        Self { host, mark, mapped, refused }
    }

    /// Version 1002 with these features, and with a constructor that leaves a mark.
    fn marked(&self, features: &[&'static str]) -> Patched {
        let fixture = Fixture::new("1002").feature("constructor");
        let fixture = features.iter().fold(fixture, |fixture, feature| fixture.feature(feature));
        Patched::of(fixture.build()).mark(&self.mark)
    }

    /// Pushes it, and it's refused without a trace, before any of its code ran.
    #[track_caller]
    fn refuses(&mut self, code: &str, push: impl Into<Push>) -> PushError {
        let error = self.refuses_after_loading(code, push);
        assert!(!self.mark.exists(), "{code}: code of the candidate has run");
        error
    }

    /// The same for a library in a file named for version 1002.
    #[track_caller]
    fn refuses_file(&mut self, code: &str, library: &Patched) -> PushError {
        let path = library.write(self.host.folder(), "1002");
        self.refuses(code, path)
    }

    /// Pushes it, and it's refused without a trace.
    #[track_caller]
    fn refuses_after_loading(&mut self, code: &str, push: impl Into<Push>) -> PushError {
        let error = self.host.refused(code, push);
        self.refused += 1;
        let status = self.host.status();
        assert_eq!((status.phase, status.swaps.refused), ("serving", self.refused), "{code}");
        assert_eq!(self.host.version(), "1001", "{code}: the active version doesn't answer");
        assert_eq!(self.host.mapped().len(), self.mapped, "{code}: something stays mapped");
        assert_eq!(self.host.copies().len(), self.mapped, "{code}: a file is left behind");
        error
    }
}

#[test]
fn a_constructor_leaves_its_mark_when_it_is_loaded() {
    let scene = Scene::new();
    scene.host.push(scene.marked(&[]).write(scene.host.folder(), "1002"));
    assert_eq!(fs::read(&scene.mark).unwrap(), b"x");
}

#[test]
fn p0_03_what_is_no_library_at_all() {
    let mut scene = Scene::new();
    let file = scene.host.folder().join("logic.v1002.so");
    for (content, found) in [("", "an empty file"), ("#!/bin/sh\n", r##"begins with "#!/b""##)] {
        fs::write(&file, content).unwrap();
        let error = scene.refuses("not-elf", &*file).to_string();
        assert!(error.contains(found), "{error}");
    }
}

#[test]
fn a_program_is_not_a_library() {
    // ELF states its type in the two bytes before the machine; 1 is an object file.
    let mut scene = Scene::new();
    let mut bytes = scene.marked(&[]).bytes().to_vec();
    bytes[16] = 1;
    scene.refuses("not-a-library", Push::content("logic.v1002.so", bytes));
}

#[test]
fn p0_13_a_library_cut_anywhere_is_refused() {
    const LENGTHS: usize = 200;
    let mut scene = Scene::new();
    let whole = scene.marked(&[]);
    let length = whole.bytes().len();
    // Spread over the file, and around its ends.
    let lengths = (1..LENGTHS).map(|part| part * length / LENGTHS).chain([1, 4, 5, 16, 63, 64, length - 1]);
    for cut in lengths {
        let part = whole.clone().cut(cut).bytes().to_vec();
        let expected = if cut < 4 { "not-elf" } else { "truncated" };
        scene.refuses(expected, Push::content("logic.v1002.so", part));
    }
}

#[test]
fn a_library_for_another_machine() {
    const AARCH64: u16 = 183;
    const X86_64: u16 = 62;
    let mut scene = Scene::new();
    let other = if cfg!(target_arch = "aarch64") { X86_64 } else { AARCH64 };
    let library = scene.marked(&[]).machine(other);
    scene.refuses_file("wrong-machine", &library);
    let mut bytes = scene.marked(&[]).bytes().to_vec();
    bytes[4] = 1;
    scene.refuses("wrong-machine", Push::content("logic.v1002.so", bytes));
}

#[test]
fn p0_03_a_library_without_a_manifest() {
    let mut scene = Scene::new();
    scene.refuses_file("no-manifest", &Patched::of(Fixture::plain().build()));
}

#[test]
fn a_damaged_manifest_and_one_from_the_future() {
    let mut scene = Scene::new();
    let library = scene.marked(&[]).damaged();
    let error = scene.refuses_file("damaged-manifest", &library).to_string();
    assert!(error.contains("checksum"), "{error}");
    let library = scene.marked(&[]).replace("\"methods\":", "\"mathods\":");
    scene.refuses_file("damaged-manifest", &library);
    let library = scene.marked(&[]).format(FOREIGN_FORMAT + 1);
    scene.refuses_file("future-manifest", &library);
}

#[test]
fn another_contract() {
    let mut scene = Scene::new();
    let library = scene.marked(&[]).replace(&format!("\"contract\":{CONTRACT}"), "\"contract\":9");
    scene.refuses_file("wrong-contract", &library);
}

#[test]
fn p2_05_another_compiler() {
    let mut scene = Scene::new();
    let found = "rustc 1.94.0 of another day";
    let library = scene.marked(&[]).compiler(found);
    let error = scene.refuses_file("wrong-compiler", &library).to_string();
    assert!(error.contains(found) && error.contains(liveswap_state::COMPILER), "{error}");
}

#[test]
fn a_build_that_aborts_on_panic() {
    let mut scene = Scene::new();
    let library = scene.marked(&[]).replace("\"unwind\"", "\"abort\"");
    scene.refuses_file("panic-abort", &library);
}

#[test]
fn a_module_that_the_host_has_not() {
    let mut scene = Scene::new();
    let library = scene.marked(&[]).replace("\"module\":\"logic\"", "\"module\":\"chat\"");
    let path = scene.host.folder().join("chat.v1002.so");
    fs::write(&path, library.bytes()).unwrap();
    // It concerns no module, so no module counts it.
    let error = scene.host.refused("unknown-module", &*path).to_string();
    assert!(error.contains("unable to find module: chat"), "{error}");
    assert!(!scene.mark.exists());
    assert_eq!((scene.host.copies().len(), scene.host.version()), (1, "1001".to_owned()));
    scene.refuses_file("name-mismatch", &library);
}

#[test]
fn a_name_that_says_something_else_than_the_manifest() {
    let mut scene = Scene::new();
    let path = scene.marked(&[]).write(scene.host.folder(), "1003");
    let error = scene.refuses("name-mismatch", path).to_string();
    assert!(error.contains("logic 1003") && error.contains("logic 1002"), "{error}");
}

#[test]
fn a_version_that_is_none() {
    let mut scene = Scene::new();
    let library = scene.marked(&[]).version("1..2");
    scene.refuses_file("bad-version", &library);
}

#[test]
fn p1_07_another_interface() {
    let mut scene = Scene::new();
    for (feature, says) in [
        ("other-interface", "found method `round` shared with signature"),
        ("missing-method", "found no method `round`"),
    ] {
        let library = scene.marked(&[feature]);
        let error = scene.refuses_file("wrong-interface", &library).to_string();
        assert!(error.contains(says), "{error}");
    }
    let library = scene.marked(&[]).replace("\"interface\":\"Game\"", "\"interface\":\"Chat\"");
    let error = scene.refuses_file("wrong-interface", &library).to_string();
    assert!(error.contains("found interface `Chat`") && error.contains("`Game`"), "{error}");
}

#[test]
fn another_state() {
    let mut scene = Scene::new();
    let library = scene.marked(&["other-state"]);
    let error = scene.refuses_file("wrong-state", &library).to_string();
    assert_eq!(error.matches("fingerprint").count(), 2, "both states are described: {error}");
    // Where there is no state yet, it's as good as any.
    Host::serving(Fixture::new("1002").feature("other-state").build());
}

#[test]
fn p1_05_the_same_version_with_other_bytes_and_an_older_one() {
    let mut scene = Scene::new();
    let older = scene.marked(&[]).version("1000").write(scene.host.folder(), "1000");
    scene.refuses("older-version", &*older);
    let same = scene.marked(&[]).version("1001").write(scene.host.folder(), "1001");
    scene.refuses("conflicting-version", Push::file(same).allow_older());
}

#[test]
fn a_file_that_can_not_be_read() {
    let mut scene = Scene::new();
    let missing = scene.host.folder().join("logic.v1002.so");
    scene.refuses("unreadable", &*missing);
    std::os::unix::fs::symlink(&missing, &missing).unwrap();
    scene.refuses("unreadable", &*missing);
}

#[test]
fn what_is_no_regular_file() {
    let mut scene = Scene::new();
    let folder = scene.host.folder().join("logic.v1002.so");
    fs::create_dir(&folder).unwrap();
    scene.refuses("not-a-file", &*folder);
    // Not named for a module, so no module counts it.
    scene.host.refused("not-a-file", "/dev/zero");
    let pipe = scene.host.folder().join("logic.v1003.so");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is in every system");
    assert!(made.success());
    // Nobody will ever write to it.
    scene.refuses("not-a-file", &*pipe);
}

#[test]
fn a_candidate_that_is_too_large() {
    let size = fs::metadata(logic("1001")).unwrap().len();
    let host = Host::with(|builder, _| builder.candidate_size_max(size));
    host.push(logic("1001"));
    let mut scene = Scene::of(host);
    let mut bytes = scene.marked(&[]).bytes().to_vec();
    bytes.resize(bytes.len().max(size as usize + 1), 0);
    scene.refuses("too-large", Push::content("logic.v1002.so", bytes.clone()));
    let path = scene.host.folder().join("logic.v1002.so");
    fs::write(&path, bytes).unwrap();
    let error = scene.refuses("too-large", path).to_string();
    assert!(error.contains(&size.to_string()), "{error}");
}

#[test]
fn a_version_whose_prepare_hook_says_no() {
    let mut scene = Scene::new();
    let library = Fixture::new("1002").feature("prepare-refuses").build();
    let error = scene.refuses_after_loading("prepare-refused", library);
    let PushError::Prepare(PrepareError::Refused { reason }) = error else { panic!("{error:?}") };
    assert_eq!(reason, "not today");
}

#[test]
fn p0_12_a_version_whose_hooks_panic() {
    let mut scene = Scene::new();
    let library = Fixture::new("1002").feature("prepare-panics").build();
    let error = scene.refuses_after_loading("prepare-panicked", library);
    let PushError::Prepare(PrepareError::Panicked { hook, message, location }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((hook, message.as_str()), ("prepare", "not like this"));
    assert!(location.contains("fixtures/logic/src/lib.rs:"), "{location}");

    // `create` is asked only where there is no state yet; and it can be asked again.
    let host = Host::new();
    let error = host.refused("prepare-panicked", Fixture::new("1002").feature("create-panics").build());
    assert!(error.to_string().contains("`create`") && error.to_string().contains("no world today"));
    assert_eq!((host.mapped().len(), host.copies().len(), host.status().phase), (0, 0, "empty"));
    host.push(logic("1002"));
}

#[test]
fn a_constructor_that_keeps_memory() {
    let mut scene = Scene::new();
    let error =
        scene.refuses_after_loading("bind-failed", Fixture::new("1002").feature("holds-memory").build());
    assert!(matches!(error, PushError::Load(LoadError::Bind(_))), "{error:?}");
    assert!(error.to_string().contains("holds 8 bytes"), "{error}");
}

#[test]
fn what_was_refused_can_be_pushed_once_it_is_right() {
    let scene = Scene::new();
    let library = scene.marked(&[]);
    let path = scene.host.folder().join("logic.v1002.so");
    fs::write(&path, &library.bytes()[..1000]).unwrap();
    scene.host.refused("truncated", &*path);
    fs::write(&path, library.bytes()).unwrap();
    assert!(matches!(scene.host.engine.push(&*path), Ok(PushOutcome::Published(_))));
    assert_eq!(scene.host.version(), "1002");
}

#[test]
fn p2_02_inspecting_runs_no_code_and_lists_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let library = Fixture::new("1002").feature("constructor").build();
    let path = Patched::of(library).mark(&mark).write(folder.path(), "1002");
    let manifest = inspect(&path).unwrap();
    assert_eq!((manifest.module.as_str(), manifest.version.as_str()), ("logic", "1002"));
    let record = manifest.methods.iter().find(|method| method.name == "record").unwrap();
    assert_eq!((manifest.methods[0].name.as_str(), record.access.as_str()), ("round", "exclusive"));
    assert_eq!((manifest.state.type_name.as_str(), manifest.state.schema), ("World", 1));
    assert!(!mark.exists());
    assert_eq!(inspect(Path::new("no such file")).unwrap_err().code(), "unreadable");
}

/// A file's name needn't be UTF-8.
#[test]
fn a_name_that_is_no_text() {
    let host = Host::new();
    let path = host.folder().join(std::ffi::OsStr::from_bytes(b"logic-\xff.so"));
    fs::copy(logic("1001"), &path).unwrap();
    host.push(&*path);
    assert_eq!(host.version(), "1001");
}
