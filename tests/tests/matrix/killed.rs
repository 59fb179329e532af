//! Cells in which the process is killed at the moment, by SIGKILL: it's started again on the same folders.
//!
//! The process is this program once more. It takes a snapshot before the swap; so the next start must have what was there
//! by then, on one of the two versions, and on the predecessor if the other was on probation.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use fixture_api::world::Realm;
use liveswap::{Engine, SwapStep};
use liveswap_tests::host::MODULE;
use liveswap_tests::{Patched, alone, maps, wait_until, world};

use crate::cell::{Cell, Operation};
use crate::fault::Trap;
use crate::scene::{candidate, configure};

const FOLDER: &str = "LIVESWAP_TEST_FOLDER";
const ENTITIES: u64 = 50;
const EXPERIENCE: u64 = 3;

fn engine(folder: &Path, cell: Cell, trap: &Trap, is_watching: bool) -> Engine {
    let builder = Engine::builder().module::<dyn Realm>(MODULE);
    let builder = builder.private_folder(folder.join("private")).snapshots(folder.join("snapshots"));
    let builder = configure(builder, cell.probation, trap);
    let builder = if is_watching { builder.watch(folder.join("modules")) } else { builder };
    builder.build().expect("an engine can be built")
}

/// The process that is killed.
pub(crate) fn be_killed(number: usize) -> ! {
    let cell = Cell::all().nth(number).expect("there is such a cell");
    let folder = PathBuf::from(env::var_os(FOLDER).expect("it is given a folder"));
    let (trap, modules) = (Trap::new(), folder.join("modules"));
    let engine = engine(&folder, cell, &trap, false);
    let realm = engine.module::<dyn Realm>(MODULE).unwrap();
    engine.push(modules.join("logic.v1001.so")).unwrap();
    realm.call(|realm| realm.fill(0, ENTITIES)).unwrap();
    realm.call(|realm| realm.train(7, EXPERIENCE)).unwrap();
    engine.snapshot(MODULE).unwrap();
    if cell.operation == Operation::RollBack {
        engine.push(modules.join("logic.v1002.so")).unwrap();
    }
    eprintln!("{}ready", alone::REPORT);
    let _hang = trap.arm(cell, folder.join("private"));
    match cell.operation {
        Operation::Push => drop(engine.push(modules.join("logic.v1002.so"))),
        Operation::RollBack => drop(engine.rollback(MODULE)),
    }
    panic!("{cell:?}: the moment didn't come");
}

/// Has a process killed, starts again, and looks. The version that serves then.
pub(crate) fn check(number: usize, cell: Cell) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let modules = path.join("modules");
    fs::create_dir(&modules).unwrap();
    Patched::of(world::version(1)).write(&modules, "1001");
    candidate(cell.changes, "1002", &modules);
    let test = alone::name("matrix::a_process_that_is_killed_at_any_moment_starts_with_one_of_two_versions");
    let ended = alone::command(test, &number.to_string()).env(FOLDER, &path).output().unwrap();
    let written = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.signal(), Some(9), "{cell:?}: {}\n{written}", ended.status);
    assert!(written.contains("ready"), "{cell:?}: {written}");

    let engine = engine(&path, cell, &Trap::new(), true);
    let status = engine.status().modules.remove(0);
    let version = status.active.unwrap_or_else(|| panic!("{cell:?}: nothing serves")).version.to_string();
    assert!(["1001", "1002"].contains(&&*version), "{cell:?}: {version}");
    if cell.probation && cell.operation == Operation::Push && cell.step == SwapStep::Publish {
        assert_eq!(version, "1001", "{cell:?}: it was killed while 1002 was on probation");
    }
    let realm = engine.module::<dyn Realm>(MODULE).unwrap();
    let schema = if cell.changes && version == "1002" { 2 } else { 1 };
    assert_eq!(realm.call(|realm| realm.schema()).unwrap(), schema, "{cell:?}");
    let figures = realm.call(|realm| realm.figures()).unwrap();
    assert_eq!((figures.count, figures.experience), (ENTITIES, EXPERIENCE), "{cell:?}");
    let private = path.join("private");
    wait_until("one library is mapped", || maps::mapped_code(&private).len() == 1);
    drop(engine);
    assert!(maps::mapped_code(&private).is_empty(), "{cell:?}");
    version
}
