//! Whose a path is. Whoever may change what it leads to decides what is loaded from there.
//!
//! A file is its owner's alone if nobody else may write to it, put another in its place, or turn a folder or a link on
//! the way to it elsewhere. So the whole way is walked, link by link, from the root. "Nobody else" leaves the process's
//! own user and root. In a folder above that has the sticky bit, as `/tmp` has it, others may add what they like and
//! can't move what isn't theirs; in the file's own folder they may not even add.
//!
//! Where a path has an access list, the mode's group bits are no longer the group's: they are the most that anybody in the
//! list may do who is neither the owner nor everybody. So such a path's group is never taken for the user's own.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use super::accept::AcceptError;
use super::own_group;

/// How many files a folder may have to be looked through. Beyond that, which of its versions is the newest isn't known,
/// so none is taken.
pub(crate) const FILES_MAX: usize = 16 * 1024;

/// As many links on the way to a file as the kernel follows.
const LINKS_MAX: usize = 40;

const STICKY: u32 = 0o1000;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// What a file system keeps a path's access list in.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Why a file isn't its owner's alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Exposure {
    /// Every user may write to it.
    #[error("{path} may be written by every user (found mode {mode:04o}, expected none for others; `chmod o-w` it)", path = path.display())]
    Everybody {
        /// The file, or a folder on the way to it.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its group may write to it, and there may be others in that.
    #[error("{path} may be written by its group {group} (found mode {mode:04o}, expected none for the group; `chmod g-w` it)", path = path.display())]
    Group {
        /// The file, or a folder on the way to it.
        path: PathBuf,
        /// The number of its group.
        group: u32,
        /// Its mode.
        mode: u32,
    },
    /// It has an access list, and somebody in that may write to it.
    #[error("{path} has an access list that lets others write (found mode {mode:04o}, expected none for the group, where the list's mask stands; `setfacl -b` it)", path = path.display())]
    AccessList {
        /// The file, or a folder on the way to it.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is another user's.
    #[error("{path} is user {found}'s (expected {expected} or root; `chown` it)", path = path.display())]
    Foreign {
        /// The file, a link, or a folder on the way to it.
        path: PathBuf,
        /// The number of its owner.
        found: u32,
        /// The number of the user that the host runs as.
        expected: u32,
    },
}

/// Refuses what lies in a folder that every user may write to, whoever has signed it: such a folder is a mistake.
pub(crate) fn refuse_open(candidate: &Path) -> Result<(), AcceptError> {
    let folder = folder_of(candidate);
    let unreadable = |source| AcceptError::Unreadable { path: folder.to_owned(), source };
    let mode = mode(&fs::metadata(folder).map_err(unreadable)?);
    if mode & OTHERS_WRITE != 0 {
        return Err(AcceptError::OpenFolder { folder: folder.to_owned(), mode });
    }
    Ok(())
}

/// Who else than the owner may decide what is in a file, or is in its folder beside it.
pub(crate) fn of_file(file: &Path) -> io::Result<Option<Exposure>> {
    match of_path(folder_of(file))? {
        None => of_path(file),
        exposed => Ok(exposed),
    }
}

/// Who else than the owner may decide what a path leads to, or may write to that.
pub(crate) fn of_path(path: &Path) -> io::Result<Option<Exposure>> {
    let user = rustix::process::geteuid().as_raw();
    Walk { user, is_own_group: |group| own_group::is_private(user, group) }.of_path(path)
}

/// What lies in a folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, AcceptError> {
    let unreadable = |source| AcceptError::Unreadable { path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(unreadable)?.take(FILES_MAX + 1);
    let files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    if files.len() > FILES_MAX {
        return Err(AcceptError::TooManyFiles { folder: folder.to_owned(), limit: FILES_MAX });
    }
    Ok(files)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

fn mode(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}

/// A step on a way: a name, `..`, or the root.
enum Step {
    Root,
    Up,
    Into(OsString),
}

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<Step> {
    let steps = path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    });
    steps.rev().collect()
}

/// A walk in the name of a user.
struct Walk<F> {
    user: u32,
    is_own_group: F,
}

impl<F: Fn(u32) -> bool> Walk<F> {
    fn of_path(&self, path: &Path) -> io::Result<Option<Exposure>> {
        let (mut here, mut links) = (PathBuf::from("/"), 0);
        let mut ahead = steps(&std::path::absolute(path)?);
        while let Some(step) = ahead.pop() {
            let metadata = match step {
                Step::Root => {
                    here = PathBuf::from("/");
                    fs::metadata(&here)?
                }
                Step::Up => {
                    here.pop();
                    continue;
                }
                Step::Into(name) => {
                    let next = here.join(name);
                    let metadata = fs::symlink_metadata(&next)?;
                    if metadata.is_symlink() {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(io::Error::from_raw_os_error(libc::ELOOP));
                        }
                        if let Some(foreign) = self.foreign(&next, &metadata) {
                            return Ok(Some(foreign));
                        }
                        ahead.extend(steps(&fs::read_link(&next)?));
                        continue;
                    }
                    here = next;
                    metadata
                }
            };
            let exposed = self.foreign(&here, &metadata).or_else(|| self.writable(&here, &metadata, &ahead));
            if exposed.is_some() {
                return Ok(exposed);
            }
        }
        Ok(None)
    }

    fn foreign(&self, path: &Path, metadata: &Metadata) -> Option<Exposure> {
        let (found, expected) = (metadata.uid(), self.user);
        let is_foreign = found != expected && found != 0;
        is_foreign.then(|| Exposure::Foreign { path: path.to_owned(), found, expected })
    }

    /// `ahead` is what is still to be walked.
    fn writable(&self, path: &Path, metadata: &Metadata, ahead: &[Step]) -> Option<Exposure> {
        let (mode, group) = (mode(metadata), metadata.gid());
        if mode & STICKY != 0 && !ahead.is_empty() {
            return None;
        }
        let owned = || path.to_owned();
        if mode & OTHERS_WRITE != 0 {
            return Some(Exposure::Everybody { path: owned(), mode });
        }
        if mode & GROUP_WRITES == 0 {
            return None;
        }
        if may_have_access_list(path) {
            return Some(Exposure::AccessList { path: owned(), mode });
        }
        (!(self.is_own_group)(group)).then(|| Exposure::Group { path: owned(), group, mode })
    }
}

/// Whether a path has an access list, or it can't be told.
fn may_have_access_list(path: &Path) -> bool {
    let asked = rustix::fs::getxattr(path, ACCESS_LIST, &mut [0; 0]);
    !matches!(asked, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    /// A folder in which everything is this user's own, and a file in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        set(place.path(), 0o700);
        let folder = place.path().canonicalize().unwrap().join("folder");
        fs::create_dir(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, "content").unwrap();
        set(&folder, 0o755);
        set(&file, 0o644);
        (place, file)
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn found(file: &Path) -> Option<Exposure> {
        of_file(file).unwrap()
    }

    #[test]
    fn what_only_its_owner_can_change_is_its_owners() {
        let (_place, file) = place();
        assert_eq!(found(&file), None);
        set(&file, 0o400);
        assert_eq!(found(&file), None);
    }

    #[test]
    fn a_folder_or_a_file_that_others_may_write_to_is_exposed() {
        let (_place, file) = place();
        let folder = file.parent().unwrap().to_owned();
        for (path, usual) in [(folder, 0o755), (file.clone(), 0o644)] {
            set(&path, usual | 0o002);
            let mode = usual | 0o002;
            assert_eq!(found(&file), Some(Exposure::Everybody { path: path.clone(), mode }));
            // In the file's own folder, others may not even add files.
            set(&path, usual | 0o1002);
            let mode = usual | 0o1002;
            assert_eq!(found(&file), Some(Exposure::Everybody { path: path.clone(), mode }));
            set(&path, usual);
        }
        assert_eq!(found(&file), None);
    }

    #[test]
    fn a_group_of_ones_own_is_nobody_else() {
        let (_place, file) = place();
        set(&file, 0o664);
        let user = rustix::process::geteuid().as_raw();
        let in_group = |is_own| Walk { user, is_own_group: move |_| is_own }.of_path(&file).unwrap();
        assert_eq!(in_group(true), None);
        let group = fs::metadata(&file).unwrap().gid();
        assert_eq!(in_group(false), Some(Exposure::Group { path: file.clone(), group, mode: 0o664 }));
    }

    /// An access list in the kernel's format, in which this user may write besides the owner.
    fn access_list(user: u32) -> Vec<u8> {
        const NOBODY: u32 = u32::MAX;
        let (read, write) = (4_u16, 6_u16);
        // Owner, a user, group, mask, others.
        let entries = [
            (0x01_u16, write, NOBODY),
            (0x02, write, user),
            (0x04, read, NOBODY),
            (0x10, write, NOBODY),
            (0x20, read, NOBODY),
        ];
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, may, whose) in entries {
            list.extend([tag.to_le_bytes(), may.to_le_bytes()].concat());
            list.extend(whose.to_le_bytes());
        }
        list
    }

    #[test]
    fn with_an_access_list_the_groups_bits_are_no_groups() {
        let (_place, file) = place();
        set(&file, 0o664);
        assert!(!may_have_access_list(&file));
        let flags = rustix::fs::XattrFlags::empty();
        match rustix::fs::setxattr(&file, ACCESS_LIST, &access_list(4711), flags) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP) => return println!("skipped: this file system has no access lists"),
            Err(error) => panic!("{error}"),
        }
        let user = rustix::process::geteuid().as_raw();
        let of_file = || Walk { user, is_own_group: |_| true }.of_path(&file).unwrap();
        assert_eq!(of_file(), Some(Exposure::AccessList { path: file.clone(), mode: 0o664 }));
        // The mask allows nobody else to write.
        set(&file, 0o644);
        assert_eq!(of_file(), None);
        rustix::fs::removexattr(&file, ACCESS_LIST).unwrap();
        set(&file, 0o664);
        assert_eq!(of_file(), None);
    }

    #[test]
    fn above_the_folder_a_sticky_bit_will_do() {
        let (place, file) = place();
        let above = place.path().canonicalize().unwrap();
        set(&above, 0o777);
        assert_eq!(found(&file), Some(Exposure::Everybody { path: above.clone(), mode: 0o777 }));
        set(&above, 0o1777);
        assert_eq!(found(&file), None);
        set(&above, 0o700);
    }

    #[test]
    fn another_users_file_is_foreign() {
        let (_place, file) = place();
        let me = rustix::process::geteuid().as_raw();
        let (user, owner) = if me == 0 {
            chown(&file, Some(4711), None).unwrap();
            (me, 4711)
        } else {
            (me + 1, me)
        };
        let walk = Walk { user, is_own_group: |_| false };
        let exposed = walk.of_path(&file).unwrap();
        // Who isn't root owns the folders above as well, and those come first.
        let Some(Exposure::Foreign { found, expected, .. }) = exposed else { panic!("{exposed:?}") };
        assert_eq!((found, expected), (owner, user));
    }

    #[test]
    fn a_link_is_followed_and_so_is_one_behind_it() {
        let (place, file) = place();
        let root = place.path().canonicalize().unwrap();
        let open = root.join("open");
        fs::create_dir(&open).unwrap();
        set(&open, 0o755);
        symlink(&file, open.join("second")).unwrap();
        symlink("open/second", root.join("first")).unwrap();
        let first = root.join("first");
        assert_eq!(found(&first), None);
        set(&open, 0o777);
        assert_eq!(found(&first), Some(Exposure::Everybody { path: open.clone(), mode: 0o777 }));
        set(&open, 0o755);
        set(&file, 0o646);
        assert_eq!(found(&first), Some(Exposure::Everybody { path: file, mode: 0o646 }));
    }

    #[test]
    fn a_way_that_leads_nowhere_is_an_error() {
        let (_place, file) = place();
        let (folder, missing) = (file.parent().unwrap(), file.with_file_name("missing"));
        assert_eq!(of_file(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
        let around = folder.join("around");
        symlink("around", &around).unwrap();
        assert_eq!(of_file(&around).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        assert_eq!(found(&folder.join("../folder/./file")), None);
    }

    #[test]
    fn more_files_than_anybody_looks_at_are_refused_as_a_whole() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..FILES_MAX {
            fs::write(place.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(list(place.path()).unwrap().len(), FILES_MAX);
        fs::write(place.path().join("one more"), "").unwrap();
        let error = list(place.path()).unwrap_err();
        assert!(matches!(error, AcceptError::TooManyFiles { limit: FILES_MAX, .. }), "{error}");
        assert!(error.to_string().contains(&FILES_MAX.to_string()), "{error}");
    }
}
