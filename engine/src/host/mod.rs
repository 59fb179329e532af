//! The host's side of the host table: what logic may ask of this process.

mod backtrace;
mod events;
pub(crate) mod hook;
mod ledger;
mod memory;
pub(crate) mod output;
pub(crate) mod own_blocks;
mod panics;
pub(crate) mod threads;

use liveswap_state::{EventTable, HostTable, MemoryTable};

pub use memory::CountingAllocator;
pub(crate) use memory::live_bytes;
pub(crate) use panics::panicked;

/// The table that every library is bound to.
pub(crate) static TABLE: HostTable = HostTable {
    memory: MemoryTable {
        allocate: memory::allocate,
        allocate_zeroed: memory::allocate_zeroed,
        reallocate: memory::reallocate,
        free: memory::free,
        keep: own_blocks::keep,
        forget: own_blocks::forget,
    },
    events: EventTable { enabled: events::enabled, record: events::record },
    threads: threads::TABLE,
    panicked: panics::panicked,
};
