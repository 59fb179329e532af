//! The one place for `dlopen` and `dlclose`.
//!
//! `dlclose` answers 0 whether or not the library leaves memory: a destructor that is registered for a
//! thread, a unique symbol or a handle that somebody else holds keeps it mapped. So [`Library::unmap`] believes
//! only the process's own memory map.
//!
//! An implementation that is built into the host goes through here too: its handle is the program's own, and closing that
//! unmaps nothing.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use liveswap_state::{BeforeBind, BindError, BuiltIn, Context, ENTRY_SYMBOL, Entry};
use thiserror::Error;

use crate::call::Footprint;
use crate::candidate::manifest::is_foreign;
use crate::candidate::obstacles::Obstacles;
use crate::candidate::private::PrivateCopy;
use crate::foreign::{self, CEntry};
use crate::host::{self, hook::NoResult};

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
    #[error(
        "found no symbol `{ENTRY_SYMBOL}`, or `{}` in C: export the logic with `liveswap_logic::export!`, or `LIVESWAP_EXPORT`",
        foreign::ENTRY_SYMBOL
    )]
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
    /// Its constructors haven't returned, or there is no thread to run them.
    #[error(transparent)]
    NoResult(#[from] NoResult),
}

/// A mapped library. Dropping it leaves it mapped: only [`unmap`](Library::unmap) closes it, so that no panic
/// and no error path can take code away that somebody runs.
#[derive(Debug)]
pub(crate) struct Library {
    handle: ManuallyDrop<Handle>,
    path: PathBuf,
    obstacles: Obstacles,
    /// It's no library, but linked into the host.
    built_in: Option<BuiltIn>,
    /// The kernel's account of the process's memory, opened while there was a descriptor to be had.
    maps: File,
    /// What its constructors did behind the host's back; none if it couldn't be asked.
    before_bind: Option<BeforeBind>,
    /// Set by [`connect`](Library::connect).
    connected: ManuallyDrop<Option<Connected>>,
}

#[derive(Debug)]
struct Connected {
    entry: Entry,
    /// The library keeps a reference to it for as long as it is mapped.
    context: Arc<Context>,
    /// Its thread functions come here for as long as it is mapped.
    footprint: Arc<Footprint>,
}

/// How the unmapping of a library ended.
#[derive(Debug)]
pub(crate) enum Unmapped {
    /// None of its code is mapped any more.
    Gone,
    /// It's built into the host, and stays for good.
    BuiltIn,
    /// It is still mapped.
    Retained {
        /// Why, as far as that is known.
        reason: String,
        remains: Box<Remains>,
    },
}

/// A library that is still mapped, though nobody wants it.
#[derive(Debug)]
pub(crate) struct Remains(Library);

impl Remains {
    /// Looks again: the loader may have let go of it since. (It does so when another library is closed.)
    pub(crate) fn is_gone(&mut self) -> bool {
        let is_gone = matches!(is_mapped(&mut self.0.maps, &self.0.path), Ok(false));
        if is_gone {
            self.0.clean_up();
        }
        is_gone
    }
}

impl Library {
    /// Maps the library. Its constructors run here, and nothing of it before.
    ///
    /// # Safety
    ///
    /// The copy must be of a candidate that was verified: what it holds will run.
    pub(crate) unsafe fn open(copy: &PrivateCopy) -> Result<Self, LoadError> {
        // Now, not lazily: a missing symbol must show here and not in the middle of a call. Local: two
        // versions have symbols of the same names.
        let maps = File::open("/proc/self/maps").map_err(LoadError::NoMap)?;
        let opened = match copy.built_in {
            Some(_) => Ok(Handle::this()),
            // SAFETY: constructors may run; verifying came first, as the caller vouches.
            None => unsafe { Handle::open(Some(&copy.path), RTLD_NOW | RTLD_LOCAL) },
        };
        let handle = opened.map_err(|error| LoadError::Refused(error.to_string()))?;
        Ok(Self {
            handle: ManuallyDrop::new(handle),
            path: copy.path.clone(),
            obstacles: copy.obstacles.clone(),
            built_in: copy.built_in,
            maps,
            before_bind: None,
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
        footprint: Arc<Footprint>,
    ) -> Result<(), LoadError> {
        if is_foreign(manifest) {
            // SAFETY: as the caller vouches.
            return unsafe { self.connect_foreign(manifest, context, footprint) };
        }
        let entry = match self.built_in {
            Some(built_in) => Ok(*built_in.entry()),
            // SAFETY: the manifest vouches for the symbol's type. The entry is copied out; the references in it
            // point into the mapping, which this `Library` owns.
            None => unsafe {
                self.handle.get::<*const Entry>(ENTRY_SYMBOL.as_bytes()).map(|symbol| **symbol)
            },
        };
        let Ok(entry) = entry else {
            // Not made with `export!`: what it uses of the C library's, its symbols show.
            self.before_bind = Some(BeforeBind::default());
            return Err(LoadError::NoEntry);
        };
        if entry.manifest != manifest || entry.code.len() != methods {
            return Err(LoadError::OtherManifest);
        }
        host::own_blocks::begin(context.serial(), entry.alignment);
        self.before_bind = Some((entry.before_bind)());
        if self.built_in.is_none() {
            // SAFETY: the manifest is inside of the library, which is mapped. What has just run touches a thread-local.
            unsafe { footprint.locate(entry.manifest.as_ptr().addr()) };
        }
        // SAFETY: the first call into the library that does anything. The host table is a static; the context is
        // kept below, and lives until after the library is closed.
        let bound = unsafe { (entry.bind)(&host::TABLE, &*Arc::as_ptr(&context)) };
        *self.connected = Some(Connected { entry, context, footprint });
        Ok(bound?)
    }

    /// The same for a library in C.
    ///
    /// # Safety
    ///
    /// As for [`connect`](Self::connect), with the host's `LIVESWAP_ABI` for contract and compiler.
    unsafe fn connect_foreign(
        &mut self,
        manifest: &[u8],
        context: Arc<Context>,
        footprint: Arc<Footprint>,
    ) -> Result<(), LoadError> {
        // SAFETY: an address, which isn't looked at here.
        let symbol = unsafe { self.handle.get::<*const CEntry>(foreign::ENTRY_SYMBOL.as_bytes()) };
        let Ok(symbol) = symbol.map(|symbol| *symbol) else {
            self.before_bind = Some(BeforeBind::default());
            return Err(LoadError::NoEntry);
        };
        // SAFETY: as the caller vouches. The library stays mapped until `unmap`, and the context is kept below.
        let (entry, before_bind) = unsafe { foreign::connect(symbol, manifest, &context) }?;
        host::own_blocks::begin(context.serial(), entry.alignment);
        self.before_bind = Some(before_bind);
        // SAFETY: the manifest is inside of the library, which is mapped. Binding it has touched a thread-local.
        unsafe { footprint.locate(entry.manifest.as_ptr().addr()) };
        *self.connected = Some(Connected { entry, context, footprint });
        Ok(())
    }

    /// Why closing the library would take code away that will still run, if so.
    fn must_stay(&self) -> Option<String> {
        let constructor = |what| Some(format!("it can't be closed safely: a constructor of it {what}"));
        match self.before_bind {
            None => Some("it can't be closed safely: nobody knows what its constructors did".to_owned()),
            Some(BeforeBind { threads: 1.., .. }) => {
                constructor("has started a thread, and nobody knows when it ends")
            }
            Some(BeforeBind { keys: 1.., .. }) => {
                constructor("has created a thread-specific key, whose destructor may still run")
            }
            _ if !self.obstacles.must_stay.is_empty() => {
                Some(format!("it can't be closed safely: {}", self.obstacles.must_stay.join("; and ")))
            }
            _ => self.connected.as_ref().and_then(|it| it.footprint.lost()).map(str::to_owned),
        }
    }

    /// Why the loader may keep the library after it was closed, as far as that is known.
    fn may_stay(&self) -> String {
        let mut reasons = self.obstacles.may_stay.clone();
        if self.before_bind.is_some_and(|before| before.destructors > 0) {
            let what = "a constructor of it has registered a thread-local's destructor with the C library";
            reasons.push(what.to_owned());
        }
        reasons.push(
            "something else holds a handle of it, such as a constructor that called `dlopen`".to_owned(),
        );
        reasons.join("; or ")
    }

    /// The entry of a connected library. What it points to is valid as long as the library is mapped.
    pub(crate) fn entry(&self) -> &Entry {
        &self.connected().entry
    }

    /// The context that the library was connected with.
    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.connected().context
    }

    /// What it has left on threads.
    pub(crate) fn footprint(&self) -> &Arc<Footprint> {
        &self.connected().footprint
    }

    fn connected(&self) -> &Connected {
        self.connected.as_ref().expect("a library is used only after it was connected")
    }

    /// Closes the library and looks whether it has left memory. No thread may hold it any more.
    pub(crate) fn unmap(mut self) -> Unmapped {
        if let Some(reason) = self.must_stay() {
            return self.retained(reason);
        }
        if self.built_in.is_some() {
            // The program's own handle, which was never opened, is never closed.
            self.clean_up();
            return Unmapped::BuiltIn;
        }
        if let Some(connected) = self.connected.as_ref() {
            connected.footprint.begin_close();
        }
        // SAFETY: taken once, since `self` is consumed, and not used again: `Remains` only looks at the map.
        let handle = unsafe { ManuallyDrop::take(&mut self.handle) };
        if let Err(error) = handle.close() {
            return self.retained(format!("the loader can't close it: {error}"));
        }
        match is_mapped(&mut self.maps, &self.path) {
            Ok(false) => {
                self.clean_up();
                Unmapped::Gone
            }
            // What is still mapped may still run, in a destructor that the engine doesn't know of, and still
            // refers to its context: that stays too.
            Ok(true) => {
                let reason = format!("the loader keeps it mapped after closing: {}", self.may_stay());
                self.retained(reason)
            }
            Err(error) => self.retained(format!("can't read the process's memory map: {error}")),
        }
    }

    /// Frees what the library has had of the host. It is gone.
    fn clean_up(&mut self) {
        if let Some(Connected { context, footprint, .. }) = self.connected.take() {
            footprint.delete_keys();
            // SAFETY: there is no code of it any more.
            unsafe { host::own_blocks::free(context.serial()) };
        }
    }

    fn retained(self, reason: String) -> Unmapped {
        Unmapped::Retained { reason, remains: Box::new(Remains(self)) }
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
