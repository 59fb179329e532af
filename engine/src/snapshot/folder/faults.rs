//! What happens when the disk fails, at each operation.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::format::ROOT;
use super::super::format::tests::{BlockList, LABEL, blocks};
use super::tests::{names, newest, open, take, take_small};
use super::*;

/// An operation on a disk, and on what.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    Create(PathBuf),
    Write,
    SyncFile,
    Rename(PathBuf, PathBuf),
    SyncFolder,
    Remove(PathBuf),
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    /// How many operations succeed before it.
    after: usize,
    error: i32,
    /// Whether all that follow fail too, as if the machine had stopped.
    lasts: bool,
}

/// The real disk, which notes what it's asked for, and fails when it's told to.
#[derive(Debug, Default)]
struct TestDisk {
    operations: Mutex<Vec<Operation>>,
    fault: Mutex<Option<Fault>>,
    has_failed: AtomicBool,
}

impl TestDisk {
    fn step(&self, operation: Operation) -> io::Result<()> {
        self.operations.lock().unwrap().push(operation);
        let mut fault = self.fault.lock().unwrap();
        match &mut *fault {
            None => Ok(()),
            Some(Fault { after: 0, error, lasts }) => {
                let error = io::Error::from_raw_os_error(*error);
                self.has_failed.store(true, Ordering::Relaxed);
                if !*lasts {
                    *fault = None;
                }
                Err(error)
            }
            Some(Fault { after, .. }) => {
                *after -= 1;
                Ok(())
            }
        }
    }

    fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    fn operations(&self) -> Vec<Operation> {
        std::mem::take(&mut self.operations.lock().unwrap())
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(Operation::Create(path.to_owned()))?;
        RealDisk.create(path)
    }

    /// A write that fails has written a part, as on a disk that becomes full.
    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let result = self.step(Operation::Write);
        let written = if result.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        RealDisk.write(file, offset, written)?;
        result
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.step(Operation::SyncFile)?;
        RealDisk.sync_file(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Operation::Rename(from.to_owned(), to.to_owned()))?;
        RealDisk.rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step(Operation::SyncFolder)?;
        RealDisk.sync_folder(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Operation::Remove(path.to_owned()))?;
        RealDisk.remove(path)
    }
}

/// Blocks that take several writes.
fn large(seed: u8) -> BlockList {
    vec![
        (ROOT, vec![seed; 1000]),
        (1, vec![seed; 200_000]),
        (1, vec![seed; 200_000]),
        (2, vec![seed; 300_000]),
    ]
}

/// A folder of which two are kept, with two in it: the next one removes the first.
fn full_folder(disk: &Arc<TestDisk>, path: &Path) -> SnapshotFolder {
    let keep = NonZeroUsize::new(2).unwrap();
    let mut folder = SnapshotFolder::open_on(disk.clone(), path, "logic", keep).unwrap();
    take(&mut folder, &large(1)).unwrap();
    take(&mut folder, &large(2)).unwrap();
    disk.operations();
    folder
}

#[test]
fn each_step_waits_for_the_one_before_it() {
    let place = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let mut folder = full_folder(&disk, place.path());
    let taken = take(&mut folder, &large(3)).unwrap();
    let name = |name: &str| place.path().canonicalize().unwrap().join(name);
    let partial = name("logic.000000000003.partial");
    let mut operations = disk.operations();
    operations.dedup();
    assert_eq!(
        operations,
        [
            Operation::Create(partial.clone()),
            Operation::Write,
            Operation::SyncFile,
            Operation::Rename(partial, taken.path),
            Operation::SyncFolder,
            Operation::Remove(name("logic.000000000001.snapshot")),
        ]
    );
}

/// Takes a third snapshot, of which the fault is told; stops when the fault comes too late for it.
fn with_each_fault(
    lasts: bool,
    check: impl Fn(&Path, SnapshotFolder, &TestDisk, Fault, Result<Taken, DraftError>),
) {
    for error in [libc::ENOSPC, libc::EIO, libc::EROFS] {
        let mut after = 0;
        loop {
            let place = tempfile::tempdir().unwrap();
            let disk = Arc::new(TestDisk::default());
            let mut folder = full_folder(&disk, place.path());
            let fault = Fault { after, error, lasts };
            disk.fail(fault);
            let result = take(&mut folder, &large(3));
            if !disk.has_failed.load(Ordering::Relaxed) {
                assert!(result.is_ok());
                break;
            }
            check(place.path(), folder, &disk, fault, result);
            after += 1;
        }
        assert!(after >= 8, "create, some writes, two syncs, rename, remove: {after}");
    }
}

#[test]
fn a_fault_anywhere_is_told_and_leaves_all_as_it_was() {
    with_each_fault(false, |path, mut folder, disk, fault, result| {
        let is_the_fault = |error: &DraftError| {
            let is_it = |source: &io::Error| source.raw_os_error() == Some(fault.error);
            matches!(error, DraftError::Unwritable { source, .. } if is_it(source))
        };
        let earlier = ["logic.000000000001.snapshot", "logic.000000000002.snapshot"];
        match result {
            Err(error) => {
                assert!(is_the_fault(&error), "{fault:?}: {error}");
                assert_eq!(names(path), earlier, "{fault:?}");
            }
            // The snapshot was on the disk already: that an older one stays doesn't make it fail.
            Ok(taken) => {
                assert!(matches!(&taken.not_removed[..], [error] if is_the_fault(error)), "{fault:?}");
                assert_eq!(
                    disk.operations().last(),
                    Some(&Operation::Remove(folder.name(1, Kind::Snapshot)))
                );
            }
        }
        for name in earlier {
            Intact::open(&path.join(name)).unwrap();
        }
        let taken = take(&mut folder, &large(4)).unwrap();
        assert_eq!(taken.path, folder.name(4, Kind::Snapshot), "a number is never used twice");
        assert_eq!(names(path).len(), 2);
        assert_eq!(newest(&mut folder), (Some(taken.path), 0));
    });
}

#[test]
fn wherever_the_machine_stops_the_next_start_finds_a_whole_snapshot() {
    with_each_fault(true, |path, folder, _, fault, result| {
        drop(folder);
        let mut folder = open(path, 2);
        let Newest { intact, refused, .. } = folder.newest().unwrap();
        assert!(refused.is_empty(), "{fault:?}");
        let found = blocks(&mut intact.unwrap()).unwrap();
        assert!(found == large(3) || (result.is_err() && found == large(2)), "{fault:?}");
        assert!(names(path).iter().all(|name| name.ends_with(".snapshot")), "{fault:?}");
        assert!(folder.verify_older().unwrap().is_empty(), "{fault:?}");
        take_small(&mut folder);
        assert_eq!(names(path).len(), 2, "{fault:?}");
    });
}

#[test]
fn after_a_block_that_failed_nothing_is_finished() {
    let place = tempfile::tempdir().unwrap();
    let disk = Arc::new(TestDisk::default());
    let mut folder = full_folder(&disk, place.path());
    let mut draft = folder.begin().unwrap();
    draft.writer().block(ROOT, b"root").unwrap();
    disk.fail(Fault { after: 0, error: libc::ENOSPC, lasts: false });
    assert_eq!(draft.writer().block(1, &[0; 300_000]).unwrap_err().code(), "unwritable-snapshot");
    assert_eq!(draft.writer().block(1, b"one").unwrap_err().code(), "incomplete-snapshot");
    assert_eq!(draft.finish(LABEL).unwrap_err().code(), "incomplete-snapshot");
    assert_eq!(names(place.path()).len(), 2);
}
