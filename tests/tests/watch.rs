//! The watched folder: what is loaded from it, when, and how often.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, thread};

use liveswap::Push;
use liveswap_tests::log::Log;
use liveswap_tests::{Fixture, Host, Patched, alone, logic, wait_until};
use tracing::Level;

/// A host with a watched folder, which holds what `prepare` puts there.
fn watching(prepare: impl FnOnce(&Path)) -> Host {
    Host::with(|builder, folder| {
        let modules = modules(folder);
        fs::create_dir(&modules).unwrap();
        prepare(&modules);
        builder.watch(modules)
    })
}

fn modules(folder: &Path) -> PathBuf {
    folder.join("modules")
}

/// Puts a file into the folder in one step, so that it is noticed once.
fn put(folder: &Path, name: &str, content: &[u8]) {
    let outside = folder.parent().unwrap().join("outside");
    fs::write(&outside, content).unwrap();
    fs::rename(outside, folder.join(name)).unwrap();
}

#[track_caller]
fn wait_until_active(host: &Host, version: &str) {
    wait_until(&format!("{version} is active"), || host.slots().0.as_deref() == Some(version));
    // It is active a moment before its push is done with, and until then other commands are told `busy`. A
    // rescan takes its turn instead.
    host.engine.rescan();
}

/// Waits until all that was noticed so far has been looked at. The watcher reads its events in order, so
/// once it has reported a file that was put last, it has reported all others; and a rescan is carried out
/// after what was reported before.
fn settle(host: &Host) {
    let before = host.status().swaps.refused;
    put(&modules(host.folder()), "logic.v0.so", format!("{:?}", Instant::now()).as_bytes());
    wait_until("the last file is noticed", || host.status().swaps.refused > before);
    fs::remove_file(modules(host.folder()).join("logic.v0.so")).unwrap();
    host.engine.rescan();
}

#[test]
fn p3_03_a_file_that_is_copied_or_moved_into_the_folder_is_loaded() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    fs::copy(logic("1001"), modules.join("logic.v1001.so")).unwrap();
    wait_until_active(&host, "1001");

    fs::copy(logic("1002"), host.folder().join("elsewhere")).unwrap();
    fs::rename(host.folder().join("elsewhere"), modules.join("logic.v1002.so")).unwrap();
    wait_until_active(&host, "1002");

    // Renamed within the folder, as many programs that copy do.
    fs::copy(logic("1003"), modules.join(".logic.v1003.so.part")).unwrap();
    fs::rename(modules.join(".logic.v1003.so.part"), modules.join("logic.v1003.so")).unwrap();
    wait_until_active(&host, "1003");

    // Each of them caused one swap.
    settle(&host);
    assert_eq!(host.slots(), (Some("1003".to_owned()), Some("1002".to_owned())));
    assert_eq!(host.status().swaps.committed, 1);
}

#[test]
fn p1_05_names_with_the_version_at_the_end_are_candidates_too() {
    let host = watching(|_| {});
    let library = Patched::of(logic("1001")).version("1.0");
    put(&modules(host.folder()), "logic.so.1.0", library.bytes());
    wait_until_active(&host, "1.0");
}

#[test]
fn p0_13_a_file_that_is_written_slowly_is_never_loaded_early() {
    const PIECE: usize = 4096;
    let host = watching(|_| {});
    let content = fs::read(logic("1001")).unwrap();
    let mut file = File::create(modules(host.folder()).join("logic.v1001.so")).unwrap();
    for piece in content.chunks(PIECE) {
        file.write_all(piece).unwrap();
        file.sync_data().unwrap();
        // A pause as a slow link makes it: gives an engine that looks too early the time to do so.
        thread::sleep(Duration::from_millis(2));
        let status = host.status();
        assert_eq!((status.phase, status.swaps.refused), ("empty", 0), "it was looked at too early");
    }
    assert!(host.copies().is_empty());
    drop(file);
    wait_until_active(&host, "1001");
    assert_eq!(host.status().swaps.refused, 0);
}

#[test]
fn p0_13_overwriting_or_cutting_the_file_of_a_loaded_version_changes_nothing() {
    let host = watching(|_| {});
    let path = modules(host.folder()).join("logic.v1001.so");
    fs::copy(logic("1001"), &path).unwrap();
    wait_until_active(&host, "1001");
    let touch_everything = || {
        host.game()
            .call(|game| {
                game.hit(1)?;
                game.record(1)?;
                game.set_score("ada", 1)?;
                game.scores()?;
                game.append(&mut Vec::new(), "text")?;
                game.built()
            })
            .unwrap()
    };
    assert_eq!(touch_everything(), "1001");

    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len() as usize;
    file.write_all(&vec![0xcc; length]).unwrap();
    drop(file);
    assert_eq!(touch_everything(), "1001");
    File::create(&path).unwrap();
    assert_eq!(touch_everything(), "1001");
    fs::remove_file(&path).unwrap();
    assert_eq!(touch_everything(), "1001");
    assert_eq!(host.slots(), (Some("1001".to_owned()), None));
}

#[test]
fn p0_13_a_bad_file_is_tried_and_logged_once() {
    let log = Log::of_this_process();
    let host = watching(|_| {});
    let modules = modules(host.folder());
    put(&modules, "logic.v1001.so", &fs::read(logic("1001")).unwrap());
    wait_until_active(&host, "1001");
    // Not named by any other test, so the log tells of this one.
    let bad = b"not a library, tried once";
    put(&modules, "logic.v7777.so", bad);
    wait_until("it is refused", || host.status().swaps.refused == 1);
    for _ in 0..3 {
        host.engine.rescan();
    }
    put(&modules, "logic.v7777.so", bad);
    let refused = host.status().swaps.refused;
    settle(&host);
    // One more for the file that `settle` puts there.
    assert_eq!(host.status().swaps.refused, refused + 1);
    let records = log.records().into_iter();
    let warnings = records.filter(|record| record.text("candidate") == "logic.v7777.so");
    assert_eq!(warnings.filter(|record| record.level == Level::WARN).count(), 1);

    // Other bytes under the same name are another content.
    let good = Patched::of(logic("1002")).version("7777");
    put(&modules, "logic.v7777.so", good.bytes());
    wait_until_active(&host, "7777");
}

#[test]
fn what_was_refused_for_want_of_room_is_tried_again() {
    let host = Host::with(|builder, folder| builder.retained_max(1).watch(modules(folder)));
    host.push(logic("1001"));
    let game = host.game();
    let guard = game.enter().unwrap();
    host.push(logic("1002"));
    host.commit();
    put(&modules(host.folder()), "logic.v1003.so", &fs::read(logic("1003")).unwrap());
    wait_until("it is refused", || host.status().swaps.refused == 1);
    drop(guard);
    host.wait_until_unmapped("1001");
    host.engine.rescan();
    assert_eq!(host.version(), "1003");
}

#[test]
fn what_was_refused_beside_one_version_may_be_welcome_beside_another() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    host.push(logic("1001"));
    host.push(logic("1003"));
    put(&modules, "logic.v1002.so", &fs::read(logic("1002")).unwrap());
    wait_until("it is refused as older", || host.status().swaps.refused == 1);
    host.engine.rescan();
    host.rollback();
    host.engine.rescan();
    assert_eq!(host.version(), "1002", "newer than what the rollback left");
}

#[test]
fn p0_07_a_rescan_skips_a_file_that_is_still_being_written() {
    let host = watching(|_| {});
    let path = modules(host.folder()).join("logic.v1001.so");
    // Whole already, so that nothing but the open descriptor says that there is more to come.
    let mut file = File::create(&path).unwrap();
    file.write_all(&fs::read(logic("1001")).unwrap()).unwrap();
    host.engine.rescan();
    assert_eq!((host.status().phase, host.status().swaps.refused), ("empty", 0));
    drop(file);
    wait_until_active(&host, "1001");
}

#[test]
fn a_wrong_name_is_not_the_contents_fault() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    put(&modules, "logic.v1005.so", &fs::read(logic("1002")).unwrap());
    wait_until("its name is refused", || host.status().swaps.refused == 1);
    fs::rename(modules.join("logic.v1005.so"), modules.join("logic.v1002.so")).unwrap();
    wait_until_active(&host, "1002");
}

#[test]
fn what_is_asked_for_after_its_rollback_is_welcome_in_the_folder_again() {
    let host = watching(|_| {});
    host.push(logic("1001"));
    host.push(logic("1002"));
    host.rollback();
    host.push(logic("1002"));
    host.push(Push::file(logic("1001")).allow_older());
    put(&modules(host.folder()), "logic.v1002.so", &fs::read(logic("1002")).unwrap());
    wait_until_active(&host, "1002");
}

#[test]
fn nothing_is_loaded_from_a_folder_that_everybody_may_write_to() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    fs::set_permissions(&modules, fs::Permissions::from_mode(0o777)).unwrap();
    put(&modules, "logic.v1001.so", &fs::read(logic("1001")).unwrap());
    wait_until("it is refused", || host.status().swaps.refused == 1);
    host.engine.rescan();
    assert_eq!(host.status().phase, "empty");
    fs::set_permissions(&modules, fs::Permissions::from_mode(0o755)).unwrap();
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
}

#[test]
fn a_watched_folder_that_vanishes_is_reported() {
    let log = Log::of_this_process();
    let host = watching(|_| {});
    let modules = modules(host.folder());
    fs::remove_dir(&modules).unwrap();
    let folder = modules.display().to_string();
    wait_until("it is reported", || {
        let mut records = log.records().into_iter();
        records.any(|record| record.level == Level::ERROR && record.text("folder") == folder)
    });
    host.push(logic("1001"));
    assert_eq!(host.version(), "1001", "other ways are as open as before");
}

#[test]
fn what_was_rolled_back_does_not_come_back_from_the_folder() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    for version in ["1001", "1002"] {
        put(&modules, &format!("logic.v{version}.so"), &fs::read(logic(version)).unwrap());
        wait_until_active(&host, version);
    }
    host.rollback();
    assert_eq!(host.version(), "1001");
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
    fs::copy(logic("1002"), modules.join("logic.v1002.so")).unwrap();
    settle(&host);
    assert_eq!(host.version(), "1001", "the same content again isn't news");

    // Asked for by name it does.
    host.push(modules.join("logic.v1002.so"));
    assert_eq!(host.version(), "1002");
}

#[test]
fn an_older_file_in_the_folder_is_not_a_downgrade() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    put(&modules, "logic.v1002.so", &fs::read(logic("1002")).unwrap());
    wait_until_active(&host, "1002");
    put(&modules, "logic.v1001.so", &fs::read(logic("1001")).unwrap());
    wait_until("it is refused", || host.status().swaps.refused == 1);
    assert_eq!(host.version(), "1002");
}

#[test]
fn p2_04_at_the_start_the_newest_wins_by_its_number() {
    // By text, 999 would be the newest; by date, 1001.
    let host = watching(|modules| {
        fs::copy(logic("1002"), modules.join("logic.v1002.so")).unwrap();
        put(modules, "logic.v999.so", Patched::of(logic("1001")).version("999").bytes());
        fs::copy(logic("1001"), modules.join("logic.v1001.so")).unwrap();
    });
    // Building an engine ends with a look through the folder, so nothing has to be waited for.
    assert_eq!(host.version(), "1002");
    assert_eq!((host.slots().1, host.status().swaps.refused), (None, 0), "the older ones weren't touched");
}

#[test]
fn p2_03_at_the_start_a_bad_newest_leaves_it_to_the_next() {
    let host = watching(|modules| {
        fs::copy(logic("1001"), modules.join("logic.v1001.so")).unwrap();
        fs::copy(Fixture::new("1002").feature("prepare-refuses").build(), modules.join("logic.v1002.so"))
            .unwrap();
        fs::write(modules.join("logic.v1003.so"), "not a library").unwrap();
    });
    assert_eq!(host.version(), "1001");
    assert_eq!(host.status().swaps.refused, 2);
}

#[test]
fn p2_01_a_missing_folder_is_made_and_an_empty_one_is_fine() {
    let host = Host::with(|builder, folder| builder.watch(modules(folder).join("deeper")));
    assert_eq!(host.status().phase, "empty");
    fs::copy(logic("1001"), modules(host.folder()).join("deeper/logic.v1001.so")).unwrap();
    wait_until_active(&host, "1001");
}

#[test]
fn files_that_are_not_named_like_candidates_are_passed_over() {
    let host = watching(|_| {});
    let modules = modules(host.folder());
    let content = fs::read(logic("1001")).unwrap();
    for name in ["logic.so", "liblogic.so", "logic.v1001.so.part", "logic.vnew.so", ".v1001.so", "README"] {
        put(&modules, name, &content);
    }
    // Of a module that the host has not.
    put(&modules, "chat.v1.so", b"not a library");
    settle(&host);
    assert_eq!((host.status().phase, host.status().swaps.refused), ("empty", 1), "only the one of `settle`");
}

#[test]
fn p0_06_a_rescan_finds_what_was_not_reported() {
    // Events come from the folder itself, so a version that a link is changed to isn't reported.
    let host = watching(|modules| {
        fs::create_dir(modules.with_file_name("one")).unwrap();
        fs::create_dir(modules.with_file_name("two")).unwrap();
        fs::remove_dir(modules).unwrap();
        std::os::unix::fs::symlink("one", modules).unwrap();
    });
    let (modules, two) = (modules(host.folder()), host.folder().join("two"));
    fs::copy(logic("1001"), two.join("logic.v1001.so")).unwrap();
    fs::remove_file(&modules).unwrap();
    std::os::unix::fs::symlink("two", &modules).unwrap();
    assert_eq!(host.status().phase, "empty");
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
}

#[test]
fn p0_06_the_watcher_stops_with_its_engine_and_leaves_no_thread() {
    alone::check(|| {
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        let mut ends = Vec::new();
        for _ in 0..20 {
            let host = watching(|modules| {
                fs::copy(logic("1001"), modules.join("logic.v1001.so")).unwrap();
            });
            assert_eq!(host.version(), "1001", "it was there before the first call");
            let began = Instant::now();
            drop(host);
            ends.push(began.elapsed());
        }
        // The quickest of many: a watcher that sleeps between two looks would be slow each time, a busy machine isn't.
        let quickest = ends.iter().min().unwrap();
        assert!(*quickest < Duration::from_millis(100), "{ends:?}");
        wait_until("all threads have ended", || threads() == before);
    });
}

#[test]
fn p3_03_a_vanished_folder_does_no_harm() {
    let host = watching(|modules| {
        fs::copy(logic("1001"), modules.join("logic.v1001.so")).unwrap();
    });
    fs::remove_dir_all(modules(host.folder())).unwrap();
    host.engine.rescan();
    assert_eq!(host.version(), "1001");
    host.push(logic("1002"));
}

/// Set in the process that [`p3_03_a_hangup_is_a_rescan`] starts: itself, for that test alone. A signal
/// concerns a whole process, and so all of its tests.
const ALONE: &str = "LIVESWAP_TEST_ALONE";

#[test]
fn p3_03_a_hangup_is_a_rescan() {
    if env::var_os(ALONE).is_none() {
        let mut process = Command::new(env::current_exe().unwrap());
        process.args(["--exact", "p3_03_a_hangup_is_a_rescan"]).env(ALONE, "yes");
        assert!(process.status().unwrap().success());
        return;
    }
    let host = Host::with(|builder, folder| {
        // Watched before its candidate is there, and then moved away from under the watcher.
        let modules = modules(folder);
        fs::create_dir(folder.join("one")).unwrap();
        fs::create_dir(folder.join("two")).unwrap();
        std::os::unix::fs::symlink("one", &modules).unwrap();
        builder.watch(modules).rescan_on_hangup()
    });
    let modules = modules(host.folder());
    fs::copy(logic("1001"), host.folder().join("two/logic.v1001.so")).unwrap();
    fs::remove_file(&modules).unwrap();
    std::os::unix::fs::symlink("two", &modules).unwrap();
    let process = std::process::id().to_string();
    assert!(Command::new("kill").args(["-HUP", &process]).status().unwrap().success());
    wait_until_active(&host, "1001");
}
