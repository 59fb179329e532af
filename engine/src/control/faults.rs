//! What is wrong in the watched folders: each file or folder that was refused, with the reason, until it's taken away or
//! welcome.
//!
//! The control thread notes, whoever asks for the status looks. The list is bounded: who fills a folder with what is
//! refused can't fill the memory with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::lock::lock;
use crate::status::FolderFault;

/// How many are listed.
const LISTED_MAX: usize = 1024;

/// What is wrong in the watched folders.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<BTreeMap<PathBuf, FolderFault>>);

impl Faults {
    /// All of them, sorted by path.
    pub(crate) fn list(&self) -> Vec<FolderFault> {
        lock(&self.0).values().cloned().collect()
    }

    /// This path was refused.
    pub(super) fn note(&self, path: &Path, code: &'static str, message: String) {
        let mut faults = lock(&self.0);
        if faults.len() < LISTED_MAX || faults.contains_key(path) {
            faults.insert(path.to_owned(), FolderFault { path: path.to_owned(), code, message });
        }
    }

    /// Nothing is wrong with this path.
    pub(super) fn clear(&self, path: &Path) {
        lock(&self.0).remove(path);
    }

    /// Forgets what isn't there any more.
    pub(super) fn keep(&self, is_there: impl Fn(&Path) -> bool) {
        lock(&self.0).retain(|path, _| is_there(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sorted_bounded_and_forgotten() {
        let faults = Faults::default();
        for number in (0..=LISTED_MAX).rev() {
            faults.note(Path::new(&format!("{number:05}")), "damaged", "first".to_owned());
        }
        let list = faults.list();
        assert_eq!((list.len(), list[0].path.as_path()), (LISTED_MAX, Path::new("00001")));
        // One that is listed already is brought up to date.
        faults.note(Path::new("00001"), "not-elf", "second".to_owned());
        assert_eq!((faults.list()[0].code, faults.list().len()), ("not-elf", LISTED_MAX));
        faults.clear(Path::new("00001"));
        faults.keep(|path| path == Path::new("00002"));
        assert_eq!(faults.list().len(), 1);
    }
}
