use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn known(version: &str) -> Known {
    Known { version: version.parse().unwrap(), digest: Digest::of(version.as_bytes()) }
}

/// A folder with the library of a version in it, and a record that says it's the predecessor of the one on probation.
fn begun() -> (tempfile::TempDir, PathBuf, Record) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("1-1.so");
    fs::write(&copy, "library").unwrap();
    let mut record = Record::open(folder.path(), "logic");
    record.begin(known("2"), known("1"), &copy).unwrap();
    (folder, copy, record)
}

fn kept(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension() == Some(OsStr::new("kept"))).count()
}

#[test]
fn a_start_reads_what_the_process_before_it_has_written() {
    let (folder, copy, mut record) = begun();
    let found = Record::open(folder.path(), "logic");
    assert_eq!((found.on_probation(), found.predecessor()), (Some(&known("2")), Some(&known("1"))));
    // The copy goes with its process, the library stays.
    fs::remove_file(&copy).unwrap();
    assert_eq!(found.predecessor_content().unwrap(), b"library");
    assert_eq!(Record::open(folder.path(), "chat").on_probation(), None, "another module's");
    record.settle();
    record.roll_back(known("2"), known("1"), &copy).unwrap();
    let found = Record::open(folder.path(), "logic");
    assert_eq!((found.on_probation(), found.predecessor()), (None, Some(&known("1"))));
    assert_eq!(found.withdrawn().collect::<Vec<_>>(), [known("2").digest]);
    record.admit(known("2").digest).unwrap();
    record.commit().unwrap();
    assert!(!found.path().exists());
    assert_eq!(kept(folder.path()), 0);
}

/// The library of the one before is needed until the new one is published.
#[test]
fn a_push_that_comes_to_nothing_is_taken_back() {
    let (folder, _, mut record) = begun();
    record.settle();
    let second = folder.path().join("1-2.so");
    fs::write(&second, "second").unwrap();
    record.begin(known("3"), known("2"), &second).unwrap();
    assert_eq!(kept(folder.path()), 2);
    record.take_back().unwrap();
    let found = Record::open(folder.path(), "logic");
    assert_eq!((found.on_probation(), found.predecessor()), (Some(&known("2")), Some(&known("1"))));
    assert_eq!((kept(folder.path()), found.predecessor_content().unwrap()), (1, b"library".to_vec()));
}

#[test]
fn a_record_or_a_library_that_is_damaged_anywhere_is_passed_over() {
    let (_folder, _, record) = begun();
    let good = fs::read(record.path()).unwrap();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(record.path(), &bad).unwrap();
        assert_eq!(record.read().unwrap_err().code(), "damaged-record", "byte {place}");
        fs::write(record.path(), &good[..place]).unwrap();
        assert_eq!(record.read().unwrap_err().code(), "damaged-record", "cut at {place}");
    }
    let library = record.kept(known("1").digest);
    fs::remove_file(&library).unwrap();
    assert_eq!(record.predecessor_content().unwrap_err().code(), "unreadable-record");
    fs::write(&library, "librarx").unwrap();
    assert_eq!(record.predecessor_content().unwrap_err().code(), "damaged-record");
}

#[test]
fn what_is_withdrawn_is_bounded_and_the_latest_stay() {
    let (_folder, copy, mut record) = begun();
    for version in 0..WITHDRAWN_MAX + 10 {
        record.roll_back(known(&version.to_string()), known("1"), &copy).unwrap();
    }
    assert_eq!(record.withdrawn().count(), WITHDRAWN_MAX);
    assert_eq!(record.withdrawn().last(), Some(known(&(WITHDRAWN_MAX + 9).to_string()).digest));
    assert!(fs::metadata(record.path()).unwrap().len() < LENGTH_MAX);
}

/// Fails the operation of this number, and all that follow.
#[derive(Debug)]
struct Failing {
    left: AtomicUsize,
}

impl Failing {
    fn pass<R>(&self, operation: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        match self.left.load(Ordering::Relaxed).checked_sub(1) {
            Some(left) => {
                self.left.store(left, Ordering::Relaxed);
                operation()
            }
            None => Err(io::ErrorKind::StorageFull.into()),
        }
    }
}

impl Disk for Failing {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.pass(|| RealDisk.create(path))
    }
    fn write(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.pass(|| RealDisk.write(file, offset, bytes))
    }
    fn sync_file(&self, file: &File) -> io::Result<()> {
        self.pass(|| RealDisk.sync_file(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.pass(|| RealDisk.rename(from, to))
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.pass(|| RealDisk.sync_folder(path))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(|| RealDisk.remove(path))
    }
}

/// Wherever a disk fails, there is the old record or the new one, and it's said that it has failed.
#[test]
fn a_disk_that_fails_at_any_operation_leaves_a_whole_record() {
    let mut failures = 0;
    for operations in 0.. {
        let (folder, copy, mut record) = begun();
        record.settle();
        let old = record.content.clone();
        record.disk = Arc::new(Failing { left: AtomicUsize::new(operations) });
        let outcome = record.roll_back(known("2"), known("1"), &copy);
        let found = Record::open(folder.path(), "logic");
        if outcome.is_ok() {
            assert_eq!(found.content, record.content);
            break;
        }
        failures += 1;
        assert_eq!(outcome.unwrap_err().code(), "unwritable-record");
        assert_eq!(record.content, old, "it can be tried again");
        assert!(found.content == old || found.withdrawn().count() == 1, "{found:?}");
        record.disk = Arc::new(RealDisk);
        record.roll_back(known("2"), known("1"), &copy).unwrap();
    }
    assert_eq!(failures, 6, "remove, create, write, sync, rename, sync the folder");
}

/// What a push that was refused has left on the disk may be believed by the next start, so it's taken back.
#[test]
fn what_may_have_got_to_the_disk_all_the_same_is_written_over() {
    let (folder, copy, mut record) = begun();
    record.settle();
    record.commit().unwrap();
    // It fails when the folder is synced, after the record has got its name.
    record.disk = Arc::new(Failing { left: AtomicUsize::new(6) });
    assert_eq!(record.begin(known("3"), known("2"), &copy).unwrap_err().code(), "unwritable-record");
    assert_eq!(Record::open(folder.path(), "logic").on_probation(), Some(&known("3")));
    record.disk = Arc::new(RealDisk);
    record.commit().unwrap();
    assert_eq!(Record::open(folder.path(), "logic").on_probation(), None);
}

#[test]
fn a_library_that_somebody_has_cleaned_away_is_kept_again() {
    let (folder, copy, mut record) = begun();
    record.settle();
    fs::remove_file(record.kept(known("1").digest)).unwrap();
    fs::remove_file(record.path()).unwrap();
    record.begin(known("3"), known("1"), &copy).unwrap();
    record.settle();
    assert_eq!(Record::open(folder.path(), "logic").predecessor_content().unwrap(), b"library");
}
