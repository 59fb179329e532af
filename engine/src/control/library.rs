//! The one place for `dlopen` and `dlclose`.
//!
//! `dlclose` answers 0 whether or not the library leaves memory: a destructor that is registered for a
//! thread, a unique symbol or a flag in the file keeps it mapped. So [`Library::unmap`] believes only the
//! process's own memory map.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use liveswap_state::{BindError, Context, ENTRY_SYMBOL, Entry};
use thiserror::Error;

use crate::host;

/// Why a verified candidate can't be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The dynamic loader refused the library.
    #[error(
        "the loader refused the library: {0}: build it with all that it needs, or install what is missing"
    )]
    Refused(String),
    /// The library doesn't export its entry.
    #[error("found no symbol `{ENTRY_SYMBOL}`: export the logic with `liveswap_logic::export!`")]
    NoEntry,
    /// The manifest in memory isn't the one that was read from the file.
    #[error(
        "the manifest of the loaded library isn't the one in its file: the library is damaged, build it again"
    )]
    OtherManifest,
    /// The kernel doesn't tell what is mapped, so it could never be shown that the library is gone.
    #[error("can't open /proc/self/maps: {0}: mount /proc, or raise the limit of open files")]
    NoMap(io::Error),
    /// The library can't be bound to this host.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// A mapped library. Dropping it leaves it mapped: only [`unmap`](Library::unmap) closes it, so that no panic
/// and no error path can take code away that somebody runs.
#[derive(Debug)]
pub(crate) struct Library {
    handle: ManuallyDrop<Handle>,
    path: PathBuf,
    /// The kernel's account of the process's memory, opened while there was a descriptor to be had.
    maps: File,
    /// Set by [`connect`](Library::connect).
    connected: ManuallyDrop<Option<Connected>>,
}

#[derive(Debug)]
struct Connected {
    entry: Entry,
    /// The library keeps a reference to it for as long as it is mapped.
    context: Arc<Context>,
}

/// How the unmapping of a library ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmapped {
    /// None of its code is mapped any more.
    Gone,
    /// It is still mapped, and why, as far as that is known.
    Retained(String),
}

impl Library {
    /// Maps the library. Its constructors run here, and nothing of it before.
    ///
    /// # Safety
    ///
    /// The file must be a private copy that nobody writes to, and verified: what it holds will run.
    pub(crate) unsafe fn open(path: &Path) -> Result<Self, LoadError> {
        // Now, not lazily: a missing symbol must show here and not in the middle of a call. Local: two
        // versions have symbols of the same names.
        let maps = File::open("/proc/self/maps").map_err(LoadError::NoMap)?;
        // SAFETY: constructors may run; verifying came first, as the caller vouches.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError::Refused(error.to_string()))?;
        Ok(Self {
            handle: ManuallyDrop::new(handle),
            path: path.to_owned(),
            maps,
            connected: ManuallyDrop::new(None),
        })
    }

    /// Finds the entry and binds the library to this host. On an error the library is still mapped.
    ///
    /// # Safety
    ///
    /// `manifest` must be the one read from this library's file, and have shown this host's contract and
    /// compiler: that is what makes the layout of [`Entry`] known.
    pub(crate) unsafe fn connect(
        &mut self,
        manifest: &[u8],
        methods: usize,
        context: Arc<Context>,
    ) -> Result<(), LoadError> {
        // SAFETY: the manifest vouches for the symbol's type. The entry is copied out; the references in it
        // point into the mapping, which this `Library` owns.
        let entry =
            unsafe { self.handle.get::<*const Entry>(ENTRY_SYMBOL.as_bytes()).map(|symbol| **symbol) };
        let entry = entry.map_err(|_| LoadError::NoEntry)?;
        if entry.manifest != manifest || entry.code.len() != methods {
            return Err(LoadError::OtherManifest);
        }
        // SAFETY: the first call into the library. The host table is a static; the context is kept below,
        // and lives until after the library is closed.
        unsafe { (entry.bind)(&host::TABLE, &*Arc::as_ptr(&context)) }?;
        *self.connected = Some(Connected { entry, context });
        Ok(())
    }

    /// The entry of a connected library. What it points to is valid as long as the library is mapped.
    pub(crate) fn entry(&self) -> &Entry {
        &self.connected().entry
    }

    /// The context that the library was connected with.
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.connected().context
    }

    fn connected(&self) -> &Connected {
        self.connected.as_ref().expect("a library is used only after it was connected")
    }

    /// Closes the library and looks whether it has left memory. No thread may be inside it any more.
    pub(crate) fn unmap(mut self) -> Unmapped {
        // SAFETY: taken once, since `self` is consumed, and not used again.
        let handle = unsafe { ManuallyDrop::take(&mut self.handle) };
        if let Err(error) = handle.close() {
            return Unmapped::Retained(format!("the loader can't close it: {error}"));
        }
        match is_mapped(&mut self.maps, &self.path) {
            Ok(false) => {
                // SAFETY: dropped once, as above. Nothing of the library is left that could look at it.
                unsafe { ManuallyDrop::drop(&mut self.connected) };
                Unmapped::Gone
            }
            // What is still mapped may still run, in a destructor of a thread-local, and still refers to its
            // context: that stays too.
            Ok(true) => Unmapped::Retained("the loader keeps it mapped after closing".to_owned()),
            Err(error) => Unmapped::Retained(format!("can't read the process's memory map: {error}")),
        }
    }
}

/// Whether code of the file is mapped, by the kernel's own account. The path was used for this one file only,
/// so its name is enough; a deleted file keeps its name there.
///
/// The loader maps and unmaps all segments of a library together, and one of them is executable. A mapping that
/// isn't may be somebody's look into the file: the standard library's symbolizer keeps the files of its last few
/// backtraces mapped, to read them.
fn is_mapped(maps: &mut File, path: &Path) -> io::Result<bool> {
    let path = escape_line_breaks(path.as_os_str().as_encoded_bytes());
    let mut lines = Vec::new();
    maps.rewind()?;
    maps.read_to_end(&mut lines)?;
    Ok(lines.split(|byte| *byte == b'\n').any(|line| {
        let start = line.iter().position(|byte| *byte == b'/').unwrap_or(line.len());
        let (description, mapped) = line.split_at(start);
        let is_executable =
            description.split(|byte| *byte == b' ').nth(1).is_some_and(|flags| flags.contains(&b'x'));
        is_executable && mapped.strip_suffix(b" (deleted)").unwrap_or(mapped) == path
    }))
}

fn escape_line_breaks(path: &[u8]) -> Vec<u8> {
    path.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\\012"[..])
}

#[cfg(test)]
mod tests {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

    use super::*;

    fn mapped(path: &Path) -> bool {
        is_mapped(&mut File::open("/proc/self/maps").unwrap(), path).unwrap()
    }

    #[test]
    fn the_running_program_is_mapped_and_a_made_up_one_is_not() {
        assert!(mapped(&std::env::current_exe().unwrap()));
        assert!(!mapped(Path::new("/no/such/library.so")));
    }

    /// A name that the kernel escapes would otherwise be "not found", and the library called gone.
    #[test]
    fn a_file_with_a_line_break_in_its_name_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a\nb.so");
        std::fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        let file = File::open(&path).unwrap();
        // SAFETY: a fresh private mapping of one page, unmapped below and never looked at.
        unsafe {
            let (code, private) = (ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE);
            let page = mmap(std::ptr::null_mut(), 4096, code, private, &file, 0).unwrap();
            assert!(mapped(&path));
            munmap(page, 4096).unwrap();
        }
        assert!(!mapped(&path));
    }
}
