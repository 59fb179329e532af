//! Watched folders with folders in them, what is wrong there, and what the host is told.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use liveswap::{Engine, Event};
use liveswap_tests::commands::{command, command_as, make, put};
use liveswap_tests::{Fixture, Host, logic, wait_until};
use shell_api::Command;
use tempfile::TempDir;

struct Place {
    engine: Engine,
    modules: PathBuf,
    _folder: TempDir,
}

/// A host whose commands come from a folder, in which `prepare` has put what there is at the start.
fn place(prepare: impl FnOnce(&Path)) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().canonicalize().unwrap().join("modules");
    prepare(&modules);
    let engine = Engine::builder().modules_from::<dyn Command>(&modules).build().unwrap();
    Place { engine, modules, _folder: folder }
}

impl Place {
    fn names(&self) -> Vec<String> {
        self.engine.modules::<dyn Command>().iter().map(|module| module.name().to_owned()).collect()
    }

    fn faults(&self) -> Vec<(String, &'static str)> {
        let faults = self.engine.rescan().into_iter();
        let below = |path: &Path| path.strip_prefix(&self.modules).unwrap().display().to_string();
        faults.map(|fault| (below(&fault.path), fault.code)).collect()
    }
}

fn content(name: &str) -> Vec<u8> {
    fs::read(command(name)).unwrap()
}

#[test]
fn p2_01_a_folder_is_walked_with_all_that_is_in_it() {
    let place = place(|modules| {
        make(&modules.join("a/b"));
        put(modules, "echo.v1.so", &content("echo"));
        put(&modules.join("a"), "upper.v1.so", &content("upper"));
        put(&modules.join("a/b"), "divide.v1.so", &content("divide"));
        // What has no candidate's name is nobody's mistake, whatever it is.
        put(&modules.join("a"), "count.v1.so.part", &content("count"));
        put(&modules.join("a"), "notes.txt", b"notes");
        fs::create_dir(modules.join("count.v1.so")).unwrap();
    });
    assert_eq!(place.names(), ["divide", "echo", "upper"]);
    assert_eq!(place.faults(), []);
}

#[test]
fn p2_01_a_missing_folder_is_fine() {
    let place = place(|_| {});
    assert!(place.names().is_empty() && place.modules.is_dir());
    // One that goes while the host runs is a fault, and no more than that.
    put(&place.modules, "echo.v1.so", &content("echo"));
    place.engine.rescan();
    fs::remove_dir_all(&place.modules).unwrap();
    assert_eq!(place.faults(), [(String::new(), "unreadable")]);
    assert_eq!(place.names(), ["echo"]);
    make(&place.modules);
    assert_eq!(place.faults(), []);
}

#[test]
fn p2_01_what_comes_into_a_folder_that_comes_while_the_host_runs_is_found() {
    let place = place(|modules| make(&modules.join("there")));
    // Into one that was there; into one that is made now; and with a whole tree that is moved there.
    put(&place.modules.join("there"), "echo.v1.so", &content("echo"));
    wait_until("it's found in a folder", || place.names() == ["echo"]);
    make(&place.modules.join("new/er"));
    put(&place.modules.join("new/er"), "upper.v1.so", &content("upper"));
    wait_until("it's found in a new folder", || place.names() == ["echo", "upper"]);
    let tree = place.modules.parent().unwrap().join("tree");
    make(&tree.join("branch"));
    put(&tree.join("branch"), "divide.v1.so", &content("divide"));
    fs::rename(&tree, place.modules.join("tree")).unwrap();
    wait_until("it's found in a tree", || place.names() == ["divide", "echo", "upper"]);
    // The tree is watched from then on.
    put(&place.modules.join("tree/branch"), "count.v1.so", &content("count"));
    wait_until("it's found there later", || place.names() == ["count", "divide", "echo", "upper"]);
}

#[test]
fn p2_03_what_is_wrong_in_a_folder_is_forgotten_when_that_goes() {
    let place = place(|modules| {
        for folder in ["moved/in", "deleted"] {
            make(&modules.join(folder));
            // Each another content: one is told of once.
            put(&modules.join(folder), "echo.v1.so", folder.as_bytes());
        }
    });
    // As the status says it, which looks at no folder.
    let faults = || place.engine.status().faults.len();
    assert_eq!(faults(), 2);
    let elsewhere = place.modules.parent().unwrap().join("elsewhere");
    fs::rename(place.modules.join("moved"), &elsewhere).unwrap();
    wait_until("what was moved out is forgotten", || faults() == 1);
    // What then comes there is nobody's. It would be reported before what comes here later.
    put(&elsewhere.join("in"), "upper.v1.so", &content("upper"));
    put(&place.modules, "divide.v1.so", &content("divide"));
    wait_until("what comes later is found", || place.names() == ["divide"]);
    assert_eq!(faults(), 1);
    fs::remove_dir_all(place.modules.join("deleted")).unwrap();
    wait_until("what was deleted is forgotten", || faults() == 0);
}

#[test]
fn p2_01_links_lead_nowhere_else() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "upper.v1.so", &content("upper"));
    let place = place(|modules| {
        make(&modules.join("real"));
        put(&modules.join("real"), "echo.library", &content("echo"));
        symlink("real/echo.library", modules.join("echo.v1.so")).unwrap();
        symlink(outside.path(), modules.join("folder")).unwrap();
        symlink(outside.path().join("upper.v1.so"), modules.join("upper.v1.so")).unwrap();
    });
    assert_eq!(place.names(), ["echo"]);
    assert_eq!(place.faults(), [("upper.v1.so".to_owned(), "leads-out")]);
}

#[test]
fn p2_01_a_folder_that_everybody_may_write_to_gives_nothing() {
    let open = Permissions::from_mode(0o777);
    let place = place(|modules| {
        make(&modules.join("open/shut"));
        make(&modules.join("good"));
        put(&modules.join("open/shut"), "echo.v1.so", &content("echo"));
        put(&modules.join("good"), "upper.v1.so", &content("upper"));
        fs::set_permissions(modules.join("open"), open).unwrap();
    });
    assert_eq!(place.names(), ["upper"]);
    assert_eq!(place.faults(), [("open/shut/echo.v1.so".to_owned(), "open-folder")]);
    make(&place.modules.join("open"));
    assert_eq!(place.faults(), []);
    assert_eq!(place.names(), ["echo", "upper"]);
}

#[test]
fn p2_03_errors_accumulate_with_the_files_names_and_the_walk_goes_on() {
    let place = place(|modules| {
        make(&modules.join("a"));
        put(modules, "aaa.v1.so", b"no library");
        put(&modules.join("a"), "bbb.v1.so", &content("echo")[..1000]);
        put(&modules.join("a"), "ccc.v1.so", &fs::read(Fixture::plain().build()).unwrap());
        put(&modules.join("a"), "echo.v1.so", &content("echo"));
        put(modules, "zzz.v1.so", b"no library either");
    });
    assert_eq!(place.names(), ["echo"]);
    let all = [("a/bbb.v1.so", "truncated"), ("a/ccc.v1.so", "no-manifest"), ("aaa.v1.so", "not-elf")];
    let all = all.into_iter().chain([("zzz.v1.so", "not-elf")]).map(|(file, code)| (file.to_owned(), code));
    let all: Vec<_> = all.collect();
    // They were tried once, and are listed for as long as they lie there.
    assert_eq!(place.faults(), all);
    assert_eq!(place.faults(), all);
    let listed = place.engine.status().faults;
    assert!(listed[3].path.ends_with("zzz.v1.so") && listed[3].message.contains("ELF"), "{listed:?}");

    // Two are taken away; in the place of one there is a good one.
    fs::remove_file(place.modules.join("aaa.v1.so")).unwrap();
    fs::remove_file(place.modules.join("zzz.v1.so")).unwrap();
    put(&place.modules, "echo.v2.so", command_as("echo", "2").bytes());
    assert_eq!(place.faults(), all[..2]);
}

/// What a host was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Waits until it was told so much, which must be this.
    #[track_caller]
    fn expect(&self, expected: &[Event]) {
        wait_until("the host is told", || self.0.lock().unwrap().len() >= expected.len());
        assert_eq!(self.take(), expected);
    }
}

#[test]
fn p0_07_the_host_is_told_of_what_is_seen_skipped_reloaded_and_failed() {
    let told = Told::default();
    let events = told.clone();
    let host = Host::with(|builder, folder| {
        make(&folder.join("modules"));
        builder
            .watch(folder.join("modules"))
            .on_event(move |event| events.0.lock().unwrap().push(event.clone()))
    });
    let modules = host.folder().canonicalize().unwrap().join("modules");
    let path = |version: &str| modules.join(format!("logic.v{version}.so"));
    let seen = |version: &str| Event::Seen { path: path(version) };
    let reloaded = |from: Option<&str>, to: &str| Event::Reloaded {
        module: "logic".to_owned(),
        from: from.map(|version| version.parse().unwrap()),
        to: to.parse().unwrap(),
    };
    put(&modules, "logic.v1001.so", &fs::read(logic("1001")).unwrap());
    told.expect(&[seen("1001"), reloaded(None, "1001")]);
    host.engine.rescan();
    assert_eq!(told.take(), [], "there is no change");

    // A look that comes while the file is being written skips it.
    let mut file = OpenOptions::new().create_new(true).write(true).open(path("1002")).unwrap();
    host.engine.rescan();
    told.expect(&[Event::NotReady { path: path("1002") }]);
    assert_eq!(host.version(), "1001");
    file.write_all(&fs::read(logic("1002")).unwrap()).unwrap();
    drop(file);
    told.expect(&[seen("1002"), reloaded(Some("1001"), "1002")]);
    assert_eq!(host.version(), "1002", "it's said only when the new version answers");

    // One that is loaded, and doesn't work: no success is told of.
    let broken = Fixture::new("1003").feature("self-test-fails").build();
    put(&modules, "logic.v1003.so", &fs::read(broken).unwrap());
    wait_until("the host is told", || told.0.lock().unwrap().len() >= 2);
    let (first, second) = (seen("1003"), told.take());
    assert_eq!((second.len(), &second[0]), (2, &first));
    let Event::Failed { candidate, code, message } = &second[1] else { panic!("{second:?}") };
    assert_eq!((candidate.as_str(), *code), ("logic.v1003.so", "self-test-failed"));
    assert!(message.contains("self-test"), "{message}");
    assert_eq!(host.version(), "1002");
    host.engine.rescan();
    assert_eq!(told.take(), [], "it was tried once");
}
