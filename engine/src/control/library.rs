//! The one place for `dlopen` and `dlclose`.
//!
//! `dlclose` answers 0 whether or not the library leaves memory: a destructor that is registered for a
//! thread, a unique symbol or a flag in the file keeps it mapped. So [`Library::unmap`] believes only the
//! process's own memory map.

use std::fs;
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
    /// The library can't be bound to this host.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// A mapped library.
#[derive(Debug)]
pub(crate) struct Library {
    handle: Handle,
    path: PathBuf,
    entry: Entry,
    /// The library keeps a reference to it for as long as it is mapped.
    _context: Arc<Context>,
}

/// How the unmapping of a library ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmapped {
    /// No segment of it is mapped any more.
    Gone,
    /// It is still mapped, and why, as far as that is known.
    Retained(String),
}

impl Library {
    /// Maps the library and binds it to this host. Its constructors run here, and nothing of it before.
    ///
    /// # Safety
    ///
    /// The file must be a private copy that nobody writes to, with a manifest that has shown this host's
    /// contract and compiler: that is what makes the layout of [`Entry`] known.
    pub(crate) unsafe fn load(
        path: &Path,
        manifest: &[u8],
        context: Arc<Context>,
    ) -> Result<Self, LoadError> {
        // Now, not lazily: a missing symbol must show here and not in the middle of a call. Local: two
        // versions have symbols of the same names.
        // SAFETY: constructors may run; verifying came first, as the caller vouches.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError::Refused(error.to_string()))?;
        // SAFETY: the manifest vouches for the symbol's type. The entry is copied out; the references in it
        // point into the mapping, which the `Library` made below owns.
        let entry = unsafe { handle.get::<*const Entry>(ENTRY_SYMBOL.as_bytes()).map(|symbol| **symbol) };
        let Ok(entry) = entry else {
            close(handle, path);
            return Err(LoadError::NoEntry);
        };
        let library = Self { handle, path: path.to_owned(), entry, _context: context.clone() };
        if library.entry.manifest != manifest {
            library.unmap();
            return Err(LoadError::OtherManifest);
        }
        // SAFETY: the first call into the library. The host table is a static; the context lives in this
        // `Library` until after the library is closed.
        let bound = unsafe { (library.entry.bind)(&host::TABLE, &*Arc::as_ptr(&context)) };
        if let Err(error) = bound {
            library.unmap();
            return Err(error.into());
        }
        Ok(library)
    }

    /// The entry. What it points to is valid as long as this library is mapped.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Closes the library and looks whether it has left memory. No thread may be inside it any more.
    pub(crate) fn unmap(self) -> Unmapped {
        close(self.handle, &self.path)
    }
}

fn close(handle: Handle, path: &Path) -> Unmapped {
    if let Err(error) = handle.close() {
        return Unmapped::Retained(format!("the loader can't close it: {error}"));
    }
    match is_mapped(path) {
        Ok(false) => Unmapped::Gone,
        Ok(true) => Unmapped::Retained("the loader keeps it mapped after closing".to_owned()),
        Err(error) => Unmapped::Retained(format!("can't read the process's memory map: {error}")),
    }
}

/// Whether any segment of the file is mapped, by the kernel's own account. The path was used for this one
/// file only, so its name is enough; a deleted file keeps its name there.
fn is_mapped(path: &Path) -> std::io::Result<bool> {
    let path = path.as_os_str().as_encoded_bytes();
    let maps = fs::read("/proc/self/maps")?;
    Ok(maps.split(|byte| *byte == b'\n').any(|line| {
        let start = line.iter().position(|byte| *byte == b'/').unwrap_or(line.len());
        let mapped = &line[start..];
        mapped.strip_suffix(b" (deleted)").unwrap_or(mapped) == path
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_is_mapped_and_a_made_up_one_is_not() {
        assert!(is_mapped(&std::env::current_exe().unwrap()).unwrap());
        assert!(!is_mapped(Path::new("/no/such/library.so")).unwrap());
    }
}
