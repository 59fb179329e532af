//! The host's side of the host table: what logic may ask of this process.

mod backtrace;
mod events;
pub(crate) mod hook;
mod panics;

use liveswap_state::{EventTable, HostTable, MemoryTable};

/// The table that every library is bound to.
pub(crate) static TABLE: HostTable = HostTable {
    memory: MemoryTable {
        allocate: std::alloc::alloc,
        allocate_zeroed: std::alloc::alloc_zeroed,
        reallocate: std::alloc::realloc,
        free: std::alloc::dealloc,
    },
    events: EventTable { enabled: events::enabled, record: events::record },
    panicked: panics::panicked,
};
