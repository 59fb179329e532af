//! A process that ends in the middle of a probation: what the next start serves, and with which state.
//!
//! The process is this program once more, which is killed with SIGKILL, or which the version on probation takes down.

use std::any::type_name;
use std::env;
use std::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use fixture_api::trial::Trial;
use liveswap::status::ModuleStatus;
use liveswap::{CommitError, Engine, Module, Probation, PushOutcome, Reason, RollbackError, TakeError};
use liveswap_tests::host::MODULE;
use liveswap_tests::{Fixture, alone, wait_until};

/// Where the server's folders are.
const FOLDER: &str = "LIVESWAP_TEST_FOLDER";

fn engine(folder: &Path) -> Engine {
    let builder = Engine::builder()
        .module::<dyn Trial>(MODULE)
        .private_folder(folder.join("private"))
        .watch(folder.join("modules"))
        .snapshots(folder.join("snapshots"))
        .snapshot_at_end(false)
        .probation(Probation::default());
    builder.build().unwrap()
}

fn trial(engine: &Engine) -> Module<dyn Trial> {
    engine.module(MODULE).unwrap()
}

fn version(engine: &Engine) -> String {
    trial(engine).call(|trial| trial.version()).unwrap()
}

fn status(engine: &Engine) -> ModuleStatus {
    engine.status().modules.remove(0)
}

/// Puts a version into the watched folder, at once, and waits until it's taken notice of.
fn put(engine: &Engine, folder: &Path, fixture: Fixture) {
    let built = fixture.build();
    let name = built.file_name().unwrap();
    let (partial, whole) = (folder.join("partial"), folder.join("modules").join(name));
    fs::copy(&built, &partial).unwrap();
    fs::rename(partial, whole).unwrap();
    engine.rescan();
}

/// Has something done, once the watcher has had its look at what was put there.
fn done<T: Debug, E: Debug>(code: fn(&E) -> &'static str, act: impl Fn() -> Result<T, E>) {
    wait_until("it's done", || match act() {
        Err(error) if code(&error) == "busy" => false,
        outcome => outcome.is_ok() || panic!("{outcome:?}"),
    });
}

fn snapshot(engine: &Engine) {
    done(TakeError::code, || engine.snapshot(MODULE));
}

/// Has `serve` done by a process of its own, which is killed when it's done with that. The folders that it leaves.
#[track_caller]
fn killed_after<F: FnOnce(&Engine, &Path)>(serve: F) -> tempfile::TempDir {
    if alone::purpose().is_some() {
        let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
        let engine = engine(&folder);
        serve(&engine, &folder);
        eprintln!("{}done", alone::REPORT);
        loop {
            thread::park();
        }
    }
    // Built before anybody is killed while building it.
    drop((Fixture::trial("1001").build(), Fixture::trial("1002").build()));
    let folder = tempfile::tempdir().unwrap();
    let test = alone::name(type_name::<F>().trim_end_matches("::{{closure}}"));
    let server = alone::command(test, "serve")
        .env(FOLDER, folder.path())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut server = server.unwrap();
    let mut written = Vec::new();
    for line in BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap) {
        let is_done = line.starts_with(alone::REPORT);
        written.push(line);
        if is_done {
            break;
        }
    }
    assert!(server.try_wait().unwrap().is_none_or(|ended| ended.code().is_none()), "{}", written.join("\n"));
    // SIGKILL: it can't do anything about that.
    server.kill().unwrap();
    server.wait().unwrap();
    folder
}

/// The version that was on probation is named, and the reason.
#[track_caller]
fn has_crashed(engine: &Engine) {
    let status = status(engine);
    let verdict = status.last_verdict.clone().unwrap_or_else(|| panic!("no verdict: {status:#?}"));
    assert_eq!((verdict.version.to_string().as_str(), verdict.verdict), ("1002", "rolled-back"));
    assert_eq!(verdict.reason, Some(Reason::Crashed));
    assert_eq!((status.swaps.rolled_back, status.swaps.rolled_back_by_health), (1, 1));
}

#[test]
fn after_a_kill_during_probation_the_predecessor_serves_and_goes_on_to() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002"));
        assert_eq!(version(engine), "1002");
    });
    let restarted = engine(folder.path());
    assert_eq!(version(&restarted), "1001");
    has_crashed(&restarted);
    drop(restarted);
    // In good order this time, and the newest that lies there is still the one that was withdrawn.
    let restarted = engine(folder.path());
    assert_eq!((version(&restarted).as_str(), status(&restarted).last_verdict), ("1001", None));
    // Whoever wants it back gets it, on probation again.
    let pushed = restarted.push(folder.path().join("modules/logic.v1002.so")).unwrap();
    assert!(matches!(pushed, PushOutcome::Published(_)));
    assert!(status(&restarted).probation.is_some());
    restarted.commit(MODULE).unwrap();
    drop(restarted);
    let restarted = engine(folder.path());
    assert_eq!(version(&restarted), "1002");
    drop(restarted);
    let left: Vec<_> =
        fs::read_dir(folder.path().join("private")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}

#[test]
fn a_version_that_takes_the_process_down_is_not_started_again() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002"));
        let _ = trial(engine).call(|trial| trial.crash());
    });
    let restarted = engine(folder.path());
    assert_eq!(version(&restarted), "1001");
    has_crashed(&restarted);
}

/// Its file lay nowhere but in the engine's own folder.
#[test]
fn a_predecessor_that_was_pushed_from_elsewhere_is_kept_for_the_next_start() {
    let folder = killed_after(|engine, _| {
        engine.push(Fixture::trial("1001").build()).unwrap();
        engine.push(Fixture::trial("1002").build()).unwrap();
    });
    for _ in 0..2 {
        assert_eq!(version(&engine(folder.path())), "1001");
    }
}

/// Nor does the one that has crashed come back if the library that was kept is lost.
#[test]
fn a_start_that_finds_no_predecessor_takes_the_next_older_from_the_folder() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002"));
    });
    let private = fs::read_dir(folder.path().join("private")).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = private.filter(|path| path.extension().is_some_and(|it| it == "kept")).collect();
    assert_eq!(kept.len(), 1);
    fs::remove_file(&kept[0]).unwrap();
    let restarted = engine(folder.path());
    assert_eq!(version(&restarted), "1001");
    has_crashed(&restarted);
    drop(restarted);
    assert_eq!(version(&engine(folder.path())), "1001");
}

#[test]
fn after_a_kill_after_the_commit_the_new_one_serves() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002"));
        done(CommitError::code, || engine.commit(MODULE));
    });
    let restarted = engine(folder.path());
    assert_eq!((version(&restarted).as_str(), status(&restarted).last_verdict), ("1002", None));
}

/// It says nothing against the version on probation.
#[test]
fn after_an_end_in_good_order_the_new_one_serves() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path());
    put(&first, folder.path(), Fixture::trial("1001"));
    put(&first, folder.path(), Fixture::trial("1002"));
    assert!(status(&first).probation.is_some());
    drop(first);
    let restarted = engine(folder.path());
    assert_eq!((version(&restarted).as_str(), status(&restarted).last_verdict), ("1002", None));
}

#[test]
fn what_was_rolled_back_by_hand_is_not_started_again() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002"));
        done(RollbackError::code, || engine.rollback(MODULE));
    });
    let restarted = engine(folder.path());
    assert_eq!((version(&restarted).as_str(), status(&restarted).last_verdict), ("1001", None));
    // What is newer than both, and nobody has anything against, is taken as ever.
    put(&restarted, folder.path(), Fixture::trial("1003"));
    assert_eq!(version(&restarted), "1003");
}

/// The crashed one has written more snapshots than are kept, in a shape that its predecessor doesn't know.
#[test]
fn the_predecessor_begins_with_the_newest_snapshot_that_it_can_read() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        for _ in 0..5 {
            trial(engine).call(|trial| trial.count()).unwrap();
        }
        snapshot(engine);
        put(engine, folder, Fixture::trial("1002").feature("schema-2"));
        for _ in 0..4 {
            trial(engine).call(|trial| trial.count()).unwrap();
            snapshot(engine);
        }
        assert_eq!(trial(engine).call(|trial| trial.counted()), Ok(9));
    });
    let restarted = engine(folder.path());
    has_crashed(&restarted);
    assert_eq!(
        (version(&restarted).as_str(), trial(&restarted).call(|trial| trial.counted())),
        ("1001", Ok(5))
    );
    let snapshots = status(&restarted).snapshots.unwrap();
    assert!(snapshots.restored_from.unwrap().ends_with("logic.000000000001.snapshot"));
    assert_eq!(snapshots.passed_over.len(), 2, "{:?}", snapshots.passed_over);
    let left = fs::read_dir(folder.path().join("snapshots")).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "snapshot")
    });
    assert_eq!(left.count(), 3, "what was passed over is left there");
}

/// With nothing but what it can't read, it doesn't begin anew, as if there had never been anything. The other can go on.
#[test]
fn a_predecessor_that_can_read_no_snapshot_leaves_the_start_to_the_one_that_can() {
    let folder = killed_after(|engine, folder| {
        put(engine, folder, Fixture::trial("1001"));
        put(engine, folder, Fixture::trial("1002").feature("schema-2"));
        trial(engine).call(|trial| trial.count()).unwrap();
        snapshot(engine);
    });
    let restarted = engine(folder.path());
    assert_eq!(
        (version(&restarted).as_str(), trial(&restarted).call(|trial| trial.counted())),
        ("1002", Ok(1))
    );
    assert_eq!(status(&restarted).last_verdict, None);
}

/// What the next start can't be told isn't risked.
#[test]
fn a_push_is_refused_if_its_probation_cant_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path());
    engine.push(Fixture::trial("1001").build()).unwrap();
    let in_the_way = folder.path().join("private/logic.probation.partial");
    fs::create_dir(&in_the_way).unwrap();
    let refused = engine.push(Fixture::trial("1002").build()).unwrap_err();
    assert_eq!(refused.code(), "unwritable-record");
    assert_eq!((version(&engine).as_str(), status(&engine).phase), ("1001", "serving"));
    let entries = fs::read_dir(folder.path().join("private")).unwrap().map(|entry| entry.unwrap().path());
    let kept = entries.filter(|path| path.extension().is_some_and(|extension| extension == "kept"));
    assert_eq!(kept.count(), 0, "nothing is left of it");
    fs::remove_dir(&in_the_way).unwrap();
    engine.push(Fixture::trial("1002").build()).unwrap();
    // Nor is it committed before the next start would know.
    fs::remove_file(folder.path().join("private/logic.probation")).unwrap();
    fs::create_dir(folder.path().join("private/logic.probation")).unwrap();
    assert_eq!(engine.commit(MODULE).unwrap_err().code(), "unwritable-record");
    assert_eq!(status(&engine).phase, "probation");
    fs::remove_dir(folder.path().join("private/logic.probation")).unwrap();
    engine.commit(MODULE).unwrap();
}
