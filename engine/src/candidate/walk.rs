//! A walk through a watched folder, with the folders in it.
//!
//! A fault on the way is noted with its path, and the walk goes on: one folder that can't be read hides no other. The walk
//! is bounded in depth and in what it looks at. It follows no link to a folder; and a link to a file is taken only if the
//! file lies within the watched folder too, so that whoever looks there sees all that may be loaded from it.

use std::fs;
use std::path::{Path, PathBuf};

use super::accept::AcceptError;
use super::folder::{FILES_MAX, refuse_open};

/// How many folders deep it goes.
pub(crate) const DEPTH_MAX: usize = 8;

/// What a walk has found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// What isn't a folder, in no order.
    pub(crate) files: Vec<PathBuf>,
    /// The folders, each after the one that it lies in.
    pub(crate) folders: Vec<PathBuf>,
    /// What couldn't be looked at.
    pub(crate) faults: Vec<(PathBuf, AcceptError)>,
}

/// Walks through a folder.
pub(crate) fn walk(root: &Path) -> Walked {
    let mut walked = Walked::default();
    let (mut ahead, mut seen) = (vec![(root.to_owned(), 0)], 0);
    while let Some((folder, depth)) = ahead.pop() {
        let unreadable = |source| AcceptError::Unreadable { path: folder.clone(), source };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                walked.faults.push((folder.clone(), unreadable(error)));
                continue;
            }
        };
        walked.folders.push(folder.clone());
        for entry in entries {
            seen += 1;
            if seen > FILES_MAX {
                // Which of its versions is the newest isn't known, so none is taken.
                walked.files.clear();
                let error = AcceptError::TooManyFiles { folder: root.to_owned(), limit: FILES_MAX };
                walked.faults.push((root.to_owned(), error));
                return walked;
            }
            let found = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            match found {
                Ok((path, kind)) if kind.is_dir() && depth == DEPTH_MAX => {
                    let error = AcceptError::TooDeep { folder: path.clone(), limit: DEPTH_MAX };
                    walked.faults.push((path, error));
                }
                Ok((path, kind)) if kind.is_dir() => ahead.push((path, depth + 1)),
                Ok((path, _)) => walked.files.push(path),
                Err(error) => walked.faults.push((folder.clone(), unreadable(error))),
            }
        }
    }
    walked
}

/// Refuses a file in a watched folder that lies where every user may write, or that links lead to from elsewhere.
pub(crate) fn refuse_outside(root: &Path, file: &Path) -> Result<(), AcceptError> {
    let unreadable = |source| AcceptError::Unreadable { path: file.to_owned(), source };
    let leads_out = || AcceptError::LeadsOut { path: file.to_owned(), folder: root.to_owned() };
    refuse_open(file)?;
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != root) {
        if !folder.starts_with(root) || fs::symlink_metadata(folder).map_err(unreadable)?.is_symlink() {
            return Err(leads_out());
        }
        refuse_open(folder)?;
    }
    // Where it lies really: a link may lead from one folder within to another one.
    let (root, file) = (root.canonicalize().map_err(unreadable)?, file.canonicalize().map_err(unreadable)?);
    if !file.starts_with(&root) {
        return Err(leads_out());
    }
    file.ancestors().take_while(|path| *path != root).try_for_each(refuse_open)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        (place, root)
    }

    fn names(paths: &[PathBuf], root: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            paths.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_finds_what_lies_in_folders_and_goes_on_after_a_fault() {
        let (_place, root) = place();
        fs::create_dir_all(root.join("a/b")).unwrap();
        for file in ["one", "a/two", "a/b/three"] {
            fs::write(root.join(file), "").unwrap();
        }
        let mut deep = root.join("deep");
        for _ in 0..DEPTH_MAX {
            deep.push("er");
        }
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("too deep"), "").unwrap();
        let walked = walk(&root);
        assert_eq!(names(&walked.files, &root), ["a/b/three", "a/two", "one"]);
        let [(path, AcceptError::TooDeep { limit: DEPTH_MAX, .. })] = &walked.faults[..] else {
            panic!("{:?}", walked.faults)
        };
        assert_eq!(*path, deep);
        assert_eq!(walked.folders[0], root);

        let missing = root.join("missing");
        let walked = walk(&missing);
        assert!(walked.files.is_empty() && walked.faults[0].0 == missing);
    }

    #[test]
    fn no_link_leads_out_of_it() {
        let (place, root) = place();
        let outside = place.path().join("outside");
        fs::create_dir_all(root.join("within")).unwrap();
        fs::create_dir(&outside).unwrap();
        for folder in [&outside, &root.join("within")] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
            fs::write(folder.join("file"), "").unwrap();
        }
        symlink(&outside, root.join("folder")).unwrap();
        symlink(outside.join("file"), root.join("leads out")).unwrap();
        symlink("within/file", root.join("stays")).unwrap();
        // A link to a folder is there, as what isn't one: nothing behind it is.
        assert_eq!(names(&walk(&root).files, &root), ["folder", "leads out", "stays", "within/file"]);
        let refused = |file: &str| refuse_outside(&root, &root.join(file)).err().map(|error| error.code());
        assert_eq!(refused("stays"), None);
        assert_eq!(refused("within/file"), None);
        assert_eq!(refused("leads out"), Some("leads-out"));
        assert_eq!(refused("folder/file"), Some("leads-out"));
        assert_eq!(refused("../outside/file"), Some("leads-out"));
    }

    #[test]
    fn a_link_to_where_everybody_may_write_is_refused() {
        let (_place, root) = place();
        fs::create_dir(root.join("open")).unwrap();
        fs::write(root.join("open/file"), "").unwrap();
        symlink("open/file", root.join("link")).unwrap();
        let refused = |mode| {
            fs::set_permissions(root.join("open"), Permissions::from_mode(mode)).unwrap();
            refuse_outside(&root, &root.join("link")).err().map(|error| error.code())
        };
        assert_eq!((refused(0o755), refused(0o777)), (None, Some("open-folder")));
    }

    #[test]
    fn a_folder_on_the_way_that_everybody_may_write_to_is_refused() {
        let (_place, root) = place();
        fs::create_dir_all(root.join("a/b")).unwrap();
        let file = root.join("a/b/file");
        fs::write(&file, "").unwrap();
        for folder in [root.join("a/b"), root.join("a")] {
            fs::set_permissions(&folder, Permissions::from_mode(0o757)).unwrap();
            let error = refuse_outside(&root, &file).unwrap_err();
            assert!(
                matches!(&error, AcceptError::OpenFolder { folder: found, .. } if *found == folder),
                "{error}"
            );
            fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        }
        refuse_outside(&root, &file).unwrap();
    }
}
