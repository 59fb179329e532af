//! The binding: the host's table, as this library was given it.
//!
//! [`bind`] is the first of the library's code that does anything. It stores the table once; from then on memory,
//! events, panics and threads go to the host.

use std::sync::OnceLock;

use liveswap_state::{BindError, Context, HostTable};

use crate::allocator;

/// What the engine handed over.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) host: &'static HostTable,
    pub(crate) context: &'static Context,
}

static BINDING: OnceLock<Binding> = OnceLock::new();

/// The host, once it has bound this library.
pub(crate) fn binding() -> Option<&'static Binding> {
    BINDING.get()
}

/// Connects the library to its host. Called through the entry by the engine.
///
/// # Errors
///
/// If the library was bound before, or holds memory that isn't the host's.
///
/// # Safety
///
/// Both references must stay valid as long as the library is mapped, and no other code of the library, but for constructors, may
/// run before this has returned.
pub(crate) unsafe fn bind(host: &'static HostTable, context: &'static Context) -> Result<(), BindError> {
    if BINDING.get().is_some() {
        return Err(BindError::AlreadyBound);
    }
    allocator::bind(host.memory, context.serial())?;
    // Can't fail: the engine binds once, and this is checked above.
    let _ = BINDING.set(Binding { host, context });
    allocator::keep(|| {
        crate::panics::install();
        crate::events::install();
    });
    Ok(())
}
