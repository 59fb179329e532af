//! Hooks: logic that the engine calls by itself, and not through a module's handle.

use std::cell::Cell;

use crate::call::{self, owed};

thread_local! {
    static IN_HOOK: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Calls a hook of logic. A panic in it comes back fenced, so the library needn't report it.
///
/// What the hook leaves on this thread is settled at once: the engine's own threads hold no version.
pub(crate) fn call<R>(name: &'static str, hook: impl FnOnce() -> R) -> R {
    IN_HOOK.set(Some(name));
    let result = hook();
    IN_HOOK.set(None);
    owed::settle_all();
    result
}

/// Whether the host has called this thread into logic.
pub(super) fn is_in_logic() -> bool {
    IN_HOOK.get().is_some() || call::is_in_logic()
}
