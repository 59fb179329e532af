//! A module's state, as the host owns it: an address, and what it is the address of.

use liveswap_state::table::StateTable;

use super::library::Library;
use crate::call::StatePointer;
use crate::candidate::StateManifest;
use crate::host::hook::Hooks;
use crate::tell::tell;

pub(super) struct State {
    pub(super) pointer: StatePointer,
    /// As the version states it that works on it.
    pub(super) manifest: StateManifest,
    /// Counted up when the state becomes another one: what was made for the one before isn't let in any more.
    pub(super) generation: usize,
}

impl State {
    /// The first state of a module, or the first after one that was lost.
    pub(super) fn first(pointer: StatePointer, manifest: StateManifest, generation: usize) -> Self {
        Self { pointer, manifest, generation }
    }

    /// Drops it. `library` is of a version that works on this very state, and nobody is inside any more.
    pub(super) fn destroy(self, library: &Library, hooks: &Hooks) {
        destroy(library, hooks, &library.entry().state, self.pointer);
    }
}

/// Drops a state of the type that the table, one of the library's, is for.
pub(super) fn destroy(library: &Library, hooks: &Hooks, table: &StateTable, state: StatePointer) {
    let destroy = table.destroy;
    let drop_it = move || {
        let state = state;
        // A panic was logged when it happened. What it left of the state is lost; there is nobody who could act on it.
        // SAFETY: the address is of that type's, as the caller vouches, and nobody uses it any more.
        let _ = unsafe { destroy(state.0) };
    };
    if let Err(error) = hooks.run(library.footprint(), "destroy", drop_it, drop) {
        tell(|| tracing::warn!(module = library.context().module(), "a state isn't dropped: {error}"));
    }
}
