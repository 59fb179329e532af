//! Hooks: logic that the engine calls by itself, and not through a module's handle.

use std::cell::Cell;

use crate::call::{Footprint, owed};

thread_local! {
    static HOOK: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Calls a hook of logic. A panic in it comes back fenced.
///
/// What the hook leaves on this thread is settled at once: the engine's own threads hold no version.
pub(crate) fn call<R>(footprint: &Footprint, name: &'static str, hook: impl FnOnce() -> R) -> R {
    let inside = owed::enter_hook(footprint);
    let outer = HOOK.replace(Some(name));
    let result = hook();
    HOOK.set(outer);
    drop(inside);
    owed::settle_all();
    result
}

/// The hook that this thread is in.
pub(super) fn name() -> Option<&'static str> {
    HOOK.get()
}
