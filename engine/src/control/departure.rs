//! A departure: what is left to do for a version that nobody calls any more.
//!
//! Its `teardown` hook runs, then all threads that it has something on settle that, then its library is
//! closed. The [reaper](super::reaper) says when.

use std::sync::Arc;
use std::thread;

use super::Serial;
use super::library::{Library, Unmapped};
use crate::call::{Footprint, Hold, owed};
use crate::candidate::VersionNumber;
use crate::candidate::accept::PrivateCopy;
use crate::host::hook;
use crate::tell::tell;

/// A version with all that must last as long as its library is mapped.
pub(crate) struct Departure {
    pub(crate) serial: Serial,
    pub(crate) number: VersionNumber,
    pub(crate) footprint: Arc<Footprint>,
    pub(crate) library: Library,
    pub(crate) copy: Arc<PrivateCopy>,
}

impl Departure {
    /// Has the `teardown` hook called, on a thread of its own: it may take its time. The thread holds the version
    /// until the hook has returned.
    pub(crate) fn tear_down(&self) {
        let hook = {
            let (context, footprint) = (self.library.context().clone(), self.footprint.clone());
            let teardown = self.library.entry().teardown;
            move || {
                owed::run_for(footprint, Hold::Hook("teardown"));
                // The library's own hook has reported a panic.
                let _ = hook::call("teardown", || teardown(&context));
            }
        };
        self.footprint.begin_start();
        if let Err(error) = thread::Builder::new().name("liveswap-teardown".into()).spawn(hook) {
            self.footprint.not_started();
            let context = self.library.context();
            let (module, version) = (context.module(), context.version());
            tell(|| tracing::warn!(module, version, %error, "`teardown` is left out: no thread to run it"));
        }
    }

    /// Has the `teardown` hook called here and now.
    pub(crate) fn tear_down_here(&self) {
        // The library's own hook has reported a panic.
        let _ = hook::call("teardown", || (self.library.entry().teardown)(self.library.context()));
    }

    /// No call is inside, and the hook has been called or needn't be: asks all threads to settle.
    pub(crate) fn retire(&self) {
        self.footprint.retire();
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
