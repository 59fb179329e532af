//! The published version: one place for the atomic publish. (Or the published generation, of a [set](super::set).)
//!
//! arc-swap owns what is published. Beside it stands the version's address, so that a thread that has entered a
//! version before, and still keeps it, knows with one load whether it's still the published one: what it keeps can't
//! have been freed, so no other version can have its address.
//!
//! The address is stored first. As long as the version isn't, nobody enters it who hasn't been in it, since that takes
//! the version itself; and once it is, whoever has heard of it from a thread inside sees the new address too. So of two
//! threads, one that hears from the other never enters an older version than that one did. (The record of a version is
//! made anew each time it's published, but for a hand-over that was missed. That one publishes the very same again, and
//! until it's done the door is closed and the cell empty, so there is no older one to enter.)

use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use arc_swap::ArcSwapOption;

pub(super) struct Published<T> {
    address: AtomicPtr<T>,
    version: ArcSwapOption<T>,
}

impl<T> Published<T> {
    pub(super) fn none() -> Self {
        Self { address: AtomicPtr::new(ptr::null_mut()), version: ArcSwapOption::empty() }
    }

    /// From the next heavy barrier on, nobody enters another version than this.
    pub(super) fn set(&self, version: Option<Arc<T>>) {
        let address = version.as_ref().map_or(ptr::null(), Arc::as_ptr);
        // Relaxed: the store of the version releases it, and pairs with the Acquire in `get`.
        self.address.store(address.cast_mut(), Ordering::Relaxed);
        self.version.store(version);
    }

    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.version.load_full()
    }

    /// Whether there is one.
    pub(super) fn is_any(&self) -> bool {
        // Relaxed: nothing is read of it.
        !self.address.load(Ordering::Relaxed).is_null()
    }

    /// Whether it's the version at this address, which the caller keeps from being freed, or is no version's.
    #[inline(always)]
    pub(super) fn is(&self, version: NonNull<T>) -> bool {
        // Relaxed: what is read of the version, the caller has acquired when it entered it the first time.
        ptr::eq(self.address.load(Ordering::Relaxed), version.as_ptr())
    }
}
