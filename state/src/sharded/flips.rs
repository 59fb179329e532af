//! Flips: which collections a migration of the state has turned to another type.
//!
//! A collection in a state that the engine migrates isn't converted there and then: it's flipped, which takes no
//! longer for a million entries than for none, and noted here. The engine then has its shards migrated one after the
//! other, or takes the flips back if the rest of the state couldn't be migrated. Outside of the engine's migrations, in
//! a test for instance, there is nobody to do that, and a collection is migrated at once.
//!
//! As long as they may be taken back, no shard follows: a migration can't look into a collection that it has flipped.

use std::cell::Cell;
use std::sync::Mutex;

use super::handle::Handle;
use super::steps::Flipped;
use crate::lock::lock;

/// The flips of one migration of a state.
#[derive(Debug, Default)]
pub struct Flips {
    noted: Mutex<Vec<(Handle, Flipped)>>,
}

thread_local! {
    /// The migration that this thread is carrying out. Without a destructor, which would tie the thread to the library.
    static UNDER_WAY: Cell<Option<*const Flips>> = const { Cell::new(None) };
}

impl Flips {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what `migrate` flips.
    pub(crate) fn during<R>(&self, migrate: impl FnOnce() -> R) -> R {
        /// On a panic too.
        struct Before(Option<*const Flips>);

        impl Drop for Before {
            fn drop(&mut self) {
                UNDER_WAY.set(self.0);
            }
        }

        let _before = Before(UNDER_WAY.replace(Some(self)));
        migrate()
    }

    /// Whether a migration of the engine's is under way on this thread.
    pub(super) fn are_noted() -> bool {
        UNDER_WAY.get().is_some()
    }

    /// Notes a flip, if a migration of the engine's is under way on this thread. It's held until that has ended.
    pub(super) fn note(handle: Handle, flipped: Flipped) -> Result<(), Handle> {
        match UNDER_WAY.get() {
            Some(flips) => {
                // SAFETY: `during` borrows it for as long as it stands there, on this thread.
                lock(&unsafe { &*flips }.noted).push((handle, flipped));
                Ok(())
            }
            None => Err(handle),
        }
    }

    /// Takes all flips back, the last first. No call may be inside, and the state that was made with them is gone.
    pub fn undo(self) {
        for (handle, flipped) in self.take_noted().into_iter().rev() {
            handle.undo(flipped);
        }
    }

    /// The collections that were flipped, each once. Those that were flipped twice have the later type. From here on
    /// they can be used.
    pub fn into_handles(self) -> Vec<Handle> {
        let mut handles: Vec<Handle> = Vec::new();
        for (handle, _) in self.take_noted() {
            handle.let_go();
            match handles.iter_mut().find(|known| known.is(&handle)) {
                Some(known) => *known = handle,
                None => handles.push(handle),
            }
        }
        handles
    }

    fn take_noted(&self) -> Vec<(Handle, Flipped)> {
        std::mem::take(&mut lock(&self.noted))
    }
}

impl Drop for Flips {
    fn drop(&mut self) {
        self.take_noted().iter().for_each(|(handle, _)| handle.let_go());
    }
}
