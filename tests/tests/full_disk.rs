//! A disk that is full, or can't be written to: snapshots fail, and the server serves on.
//!
//! The disk is a file system in memory, mounted for the test. Where that isn't allowed, the test says that it was skipped.

use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use fixture_api::world::Realm;
use liveswap_tests::Host;
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, figures, realm};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use tempfile::TempDir;

const ENTITIES: u64 = 10_000;

/// A file system of its own.
struct Disk {
    folder: TempDir,
}

impl Disk {
    /// None if the system doesn't allow it.
    fn new(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = CString::new(format!("size={size},mode=700")).unwrap();
        match mount("none", folder.path(), "tmpfs", MountFlags::empty(), options.as_c_str()) {
            Ok(()) => Some(Self { folder }),
            Err(error) => {
                println!("skipped: can't mount a file system ({error})");
                None
            }
        }
    }

    fn change(&self, flags: MountFlags, size: &str) {
        let options = CString::new(format!("size={size},mode=700")).unwrap();
        mount_remount(self.path(), flags, options.as_c_str()).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let paths = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|it| it != "lock")).collect();
        paths.sort();
        paths
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}

fn serving(disk: &Disk) -> Host {
    let host = Host::of::<dyn Realm>(|builder, _| builder.snapshots(disk.path()));
    host.push(world::version(1));
    realm(&host).call(|realm| realm.fill(0, ENTITIES)).unwrap();
    host
}

/// A snapshot fails for this reason, is counted, and nothing of it is left; the server serves on.
#[track_caller]
fn fails(host: &Host, disk: &Disk, reason: &str) {
    let (before, counted) = (disk.snapshots(), host.status().snapshots.unwrap().failed);
    let error = host.engine.snapshot(MODULE).unwrap_err();
    assert_eq!(error.code(), "unwritable-snapshot");
    assert!(error.to_string().contains(reason), "{error}");
    let snapshots = host.status().snapshots.unwrap();
    assert_eq!(snapshots.failed, counted + 1);
    assert!(snapshots.last_failure.unwrap().contains(reason));
    assert_eq!(disk.snapshots(), before);
    assert_eq!(figures(host).count, ENTITIES);
    assert!(realm(host).call(|realm| realm.train(1, 1)).unwrap().is_some());
}

#[test]
fn a_full_disk_and_one_that_cannot_be_written_to_cost_the_service_nothing() {
    let Some(disk) = Disk::new("200k") else { return };
    let host = serving(&disk);
    fails(&host, &disk, "No space left");
    disk.change(MountFlags::empty(), "64m");
    let taken = host.engine.snapshot(MODULE).unwrap();
    assert_eq!(disk.snapshots(), [taken.path.canonicalize().unwrap()]);

    disk.change(MountFlags::RDONLY, "64m");
    fails(&host, &disk, "Read-only");
    disk.change(MountFlags::empty(), "64m");
    host.engine.snapshot(MODULE).unwrap();
    assert_eq!(disk.snapshots().len(), 2);

    let left = figures(&host);
    drop(host);
    let host = Host::of::<dyn Realm>(|builder, _| builder.snapshots(disk.path()));
    host.push(world::version(1));
    assert_eq!(figures(&host), left);
}
