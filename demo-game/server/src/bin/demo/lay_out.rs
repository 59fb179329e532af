//! Laying out the demo's folder.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use demo_server::folders::Folders;

/// The file of the version that the demo starts with.
const OLDER: &str = "logic.v1001.so";
/// The file of the version to upgrade to.
pub(crate) const NEWER: &str = "logic.v1002.so";

/// Makes the folders, with `logic` as a candidate and as the one module.
pub(crate) fn start_with(folders: &Folders, logic: &Path) -> io::Result<()> {
    let modules = folders.modules();
    fs::create_dir_all(&modules)?;
    for entry in fs::read_dir(&modules)? {
        let entry = entry?;
        if is_version_of_logic(&entry.file_name()) {
            fs::remove_file(entry.path())?;
        }
    }
    add_candidate(folders, OLDER, logic)?;
    put(&modules, OLDER, logic)
}

/// Adds a file that can be pushed.
pub(crate) fn add_candidate(folders: &Folders, name: &str, logic: &Path) -> io::Result<()> {
    let candidates = folders.candidates();
    fs::create_dir_all(&candidates)?;
    put(&candidates, name, logic)
}

fn is_version_of_logic(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with("logic.v") && name.ends_with(".so"))
}

/// Copies under another name and renames, so that nobody ever sees half of the file.
fn put(folder: &Path, name: &str, content: &Path) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}.part"));
    fs::copy(content, &unfinished)?;
    fs::rename(unfinished, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_logic_are_cleared_away() {
        for version in [OLDER, NEWER, "logic.v1.4.0.so"] {
            assert!(is_version_of_logic(OsStr::new(version)), "{version}");
        }
        for other in ["logic.so", "chat.v1.so", "logic.v1001.so.part", "notes.txt"] {
            assert!(!is_version_of_logic(OsStr::new(other)), "{other}");
        }
    }
}
