//! Hooks: logic that the engine calls by itself, on its control thread, and not through a module's handle.

use std::cell::Cell;

use crate::call;

thread_local! {
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Calls a hook of logic. A panic in it comes back fenced, so the library needn't report it.
pub(crate) fn call<R>(hook: impl FnOnce() -> R) -> R {
    IN_HOOK.set(true);
    let result = hook();
    IN_HOOK.set(false);
    result
}

/// Whether the host has called this thread into logic.
pub(super) fn is_in_logic() -> bool {
    IN_HOOK.get() || call::is_in_logic()
}
