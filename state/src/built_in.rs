//! Built-in implementations: logic that is linked into the host's own program.
//!
//! A module may begin with it, so that a host works before anybody has pushed anything, and a rollback to it needs no file.
//! It has a manifest and an entry like a library's, and is checked as one. What it doesn't need is the part that makes a
//! library come and go: its memory, its threads and its events are the host's own.

use std::fmt;

use crate::Entry;

/// An implementation of an interface that is linked into the host: what `liveswap_logic::built_in!` makes.
#[derive(Clone, Copy)]
pub struct BuiltIn(&'static Entry);

impl BuiltIn {
    /// The implementation with this entry. For `built_in!`.
    ///
    /// # Safety
    ///
    /// The entry's functions belong together, are what its manifest says, and are linked into this program for good.
    #[doc(hidden)]
    pub const unsafe fn new(entry: &'static Entry) -> Self {
        Self(entry)
    }

    /// For the engine.
    #[doc(hidden)]
    pub const fn entry(&self) -> &'static Entry {
        self.0
    }
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("BuiltIn").field(self.0).finish()
    }
}
