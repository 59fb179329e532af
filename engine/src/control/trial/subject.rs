//! A version under trial.

use std::path::Path;
use std::sync::Arc;

use liveswap_state::{
    CallError, Context, DependencyError, Entered, Fenced, MethodSpec, Modules, Nowhere, SharedOptions,
};

use super::super::Serial;
use super::super::library::Library;
use super::answers::{Answer, Call};
use crate::call::{Bell, Footprint};
use crate::candidate::accept::{Source, accept};
use crate::candidate::private::{PrivateCopy, PrivateFolder};
use crate::candidate::verify::{self, Readable};
use crate::candidate::{Manifest, MethodManifest, VersionNumber, manifest};
use crate::host::hook;
use crate::rehearsal::order::Side;

pub(super) struct Subject {
    pub(super) side: Side,
    pub(super) serial: Serial,
    pub(super) number: VersionNumber,
    pub(super) manifest: Manifest,
    pub(super) footprint: Arc<Footprint>,
    pub(super) library: Library,
    pub(super) copy: Arc<PrivateCopy>,
}

impl Subject {
    /// Takes a library in, as a host does, and loads it. On an error: why that can't be done.
    pub(super) fn load(
        side: Side,
        folder: &Path,
        library: &Path,
        size_max: u64,
        bell: Arc<Bell>,
        options: Arc<SharedOptions>,
    ) -> Result<Self, String> {
        let own = folder.join(match side {
            Side::Running => "running",
            Side::Candidate => "candidate",
        });
        let own = Arc::new(PrivateFolder::within(&own).map_err(|error| error.to_string())?);
        let accepted = accept(&own, Source::File(library), size_max).map_err(|error| error.to_string())?;
        let (manifest, section) = manifest::read(&accepted.content).map_err(|error| error.to_string())?;
        let readable = verify::readable(manifest, None).map_err(|error| error.to_string())?;
        let Readable { manifest, version: number } = readable;
        let (serial, copy) = (Serial::fresh(), Arc::new(accepted.copy));
        let footprint = Footprint::new(serial.0, bell);
        // SAFETY: the host has verified it, and so has this.
        let mut library = unsafe { Library::open(&copy) }.map_err(|error| error.to_string())?;
        // What is spawned in a rehearsal, nobody runs.
        let context = Context::of_load(&manifest.module, number.to_string(), serial.0, Arc::new(Nowhere))
            .with_modules(Arc::new(NoOther))
            .sharing_options(options);
        let (methods, context) = (manifest.methods.len(), Arc::new(context));
        // SAFETY: `section` was read from the copy, and `verify::readable` has compared contract and compiler.
        let connected = hook::call(&footprint, "bind", || unsafe {
            library.connect(&section, methods, context, footprint.clone())
        });
        connected.map_err(|error| error.to_string())?;
        Ok(Self { side, serial, number, manifest, footprint, library, copy })
    }

    /// Asks a hook. On an error: what it says.
    pub(super) fn ask(
        &self,
        name: &'static str,
        hook: fn(&Context) -> Fenced<Result<(), String>>,
    ) -> Result<(), String> {
        hook::call(&self.footprint, name, || hook(self.library.context()))
            .unwrap_or_else(|panic| Err(format!("it panicked at {}: {}", panic.location, panic.message)))
    }

    /// What its manifest says of a method.
    pub(super) fn method(&self, name: &str) -> Option<&MethodManifest> {
        self.manifest.methods.iter().find(|method| method.name == name)
    }

    /// Makes a recorded call.
    ///
    /// # Safety
    ///
    /// The state is of the version's own type, and nobody else's.
    pub(super) unsafe fn replay(&self, call: &Call, state: *mut ()) -> Answer {
        let place = self.manifest.methods.iter().position(|method| method.name == call.method);
        let replay = place.and_then(|place| self.library.entry().replay.get(place));
        let replay = replay.expect("only what both versions have is made again");
        let context = self.library.context();
        // SAFETY: as the caller vouches.
        let answer =
            hook::call(&self.footprint, "replay", || unsafe { replay(state, context, &call.arguments) });
        Answer::of(answer)
    }
}

/// There is no other module in a rehearsal.
struct NoOther;

// SAFETY: it finds nothing, and doesn't unwind.
unsafe impl Modules for NoOther {
    fn find(&self, _: usize, module: &str, _: &str, _: &[MethodSpec]) -> Result<usize, DependencyError> {
        Err(DependencyError::Rehearsal { module: module.to_owned() })
    }

    fn enter(&self, _: usize, _: &mut dyn FnMut(&dyn Entered)) -> Result<bool, CallError> {
        Ok(false)
    }
}
