//! A departure: what is left to do for a version that nobody calls any more.
//!
//! Its `teardown` hook runs; then all threads that it has something on settle that; then its `unload` hook runs;
//! then its library is closed. The [reaper](super::reaper) says when.

use std::sync::Arc;
use std::thread;

use liveswap_state::{Context, Fenced};

use super::Serial;
use super::library::{Library, Unmapped};
use crate::call::{Footprint, Hold, owed};
use crate::candidate::VersionNumber;
use crate::candidate::private::PrivateCopy;
use crate::host::hook;
use crate::tell::tell;

/// A version with all that must last as long as its library is mapped.
pub(crate) struct Departure {
    pub(crate) serial: Serial,
    pub(crate) number: VersionNumber,
    pub(crate) footprint: Arc<Footprint>,
    pub(crate) library: Library,
    pub(crate) copy: Arc<PrivateCopy>,
    /// Its hooks are still to be called: `prepare` was.
    pub(crate) is_prepared: bool,
}

type Hook = fn(&Context) -> Fenced<()>;

impl Departure {
    /// The last call has left: has the `teardown` hook called.
    pub(crate) fn tear_down(&self) {
        if self.is_prepared {
            self.call("teardown", self.library.entry().teardown);
        }
    }

    /// Nobody holds the version any more: has the `unload` hook called, which then is the last to hold it.
    pub(crate) fn unload(&mut self) {
        self.is_prepared = false;
        self.call("unload", self.library.entry().unload);
    }

    /// Has a hook called, on a thread of its own: it may take its time. The thread holds the version until the hook
    /// has returned.
    fn call(&self, name: &'static str, hook: Hook) {
        let (context, footprint) = (self.library.context().clone(), self.footprint.clone());
        let run = move || {
            owed::run_for(footprint.clone(), Hold::Hook(name));
            // The library's own hook has reported a panic.
            let _ = hook::call(&footprint, name, || hook(&context));
        };
        self.footprint.begin_start();
        if let Err(error) = thread::Builder::new().name("liveswap-hook".into()).spawn(run) {
            self.footprint.not_started();
            let context = self.library.context();
            let (module, version) = (context.module(), context.version());
            tell(|| tracing::warn!(module, version, %error, "`{name}` is left out: no thread to run it"));
        }
    }

    /// Unmaps the library. Nobody may hold it any more.
    pub(crate) fn unmap(self) -> Unmapped {
        debug_assert!(self.footprint.is_empty(), "the reaper has looked");
        let Self { library, copy, .. } = self;
        let outcome = library.unmap();
        // The file was there as long as the library.
        drop(copy);
        outcome
    }
}
