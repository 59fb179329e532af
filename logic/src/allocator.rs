//! The host-backed allocator: what logic allocates, the host may free, and the other way round.
//!
//! Arguments and results are Rust values, dropped by whoever holds them last. With two allocators in one
//! process, a `String` made by logic would be freed into the wrong heap. So a logic library has no
//! allocator of its own: each request goes to the host's table, and says which load of a version asks.
//!
//! Before the library is bound there is no table. The only code that can run then is a constructor, in a
//! part written in C++ or with an attribute for it. It gets memory from the system, which is counted; if
//! any of it is still held when the host binds, the library is refused, because later it couldn't be told
//! from the host's.
//!
//! While the library is being bound, nothing of the user's has run yet. What is allocated then is kept by statics
//! of the crates that this one uses, `tracing` above all, and nobody gives it back. The host is told of these
//! blocks, and frees them with the version.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use liveswap_state::{BindError, MemoryTable};

/// The allocator that `export!` gives a logic library.
#[derive(Debug)]
pub struct HostAllocator;

/// The host's allocator, and in whose name to ask it.
struct Host {
    table: MemoryTable,
    serial: usize,
}

/// Set when the library is bound. Setting and reading it allocates nothing.
static HOST: OnceLock<Host> = OnceLock::new();

/// Bytes from the system that are still held. Relaxed: constructors run on the thread that loads.
static HELD_BEFORE_BIND: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn bind(table: MemoryTable, serial: usize) -> Result<(), BindError> {
    match HELD_BEFORE_BIND.load(Ordering::Relaxed) {
        0 => HOST.set(Host { table, serial }).map_err(|_| BindError::AlreadyBound),
        bytes => Err(BindError::MemoryBeforeBind { bytes }),
    }
}

// SAFETY: every request goes to one allocator as it came: before binding to the system's, afterwards to
// the host's. No memory of the first lives on when the second takes over; `bind` sees to that.
unsafe impl GlobalAlloc for HostAllocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s contract, which is that of both.
        unsafe {
            match HOST.get() {
                Some(host) => host.noted((host.table.allocate)(host.serial, layout), layout),
                None => before_bind::allocate(layout),
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above. The system's fresh memory is zeroed by hand.
        unsafe {
            match HOST.get() {
                Some(host) => host.noted((host.table.allocate_zeroed)(host.serial, layout), layout),
                None => {
                    let memory = before_bind::allocate(layout);
                    if !memory.is_null() {
                        memory.write_bytes(0, layout.size());
                    }
                    memory
                }
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match HOST.get() {
                Some(host) => {
                    let was_kept = host.forget(memory);
                    let moved = (host.table.reallocate)(host.serial, memory, layout, new_size);
                    if was_kept && moved.is_null() {
                        (host.table.keep)(host.serial, memory, layout);
                        return moved;
                    }
                    host.noted(moved, Layout::from_size_align_unchecked(new_size, layout.align()))
                }
                None => before_bind::reallocate(memory, layout, new_size),
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe {
            match HOST.get() {
                Some(host) => {
                    host.forget(memory);
                    (host.table.free)(memory, layout);
                }
                None => before_bind::free(memory, layout),
            }
        }
    }
}

/// Whether the library is being bound. Relaxed, as what goes with it: all on the thread that binds, and before
/// anybody else can call the library.
static IS_BINDING: AtomicBool = AtomicBool::new(false);
/// The lowest and the highest address that the host keeps: most blocks are seen at a glance not to be among them.
static KEPT_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);
static KEPT_TO: AtomicUsize = AtomicUsize::new(0);

/// Runs `body`, and has the host keep what is allocated in it for as long as the library is there.
pub(crate) fn keep(body: impl FnOnce()) {
    /// On a panic too.
    struct Done;

    impl Drop for Done {
        fn drop(&mut self) {
            IS_BINDING.store(false, Ordering::Relaxed);
        }
    }

    IS_BINDING.store(true, Ordering::Relaxed);
    let _done = Done;
    body();
}

impl Host {
    #[inline]
    fn noted(&self, memory: *mut u8, layout: Layout) -> *mut u8 {
        if IS_BINDING.load(Ordering::Relaxed) && !memory.is_null() {
            KEPT_FROM.fetch_min(memory.addr(), Ordering::Relaxed);
            KEPT_TO.fetch_max(memory.addr(), Ordering::Relaxed);
            // SAFETY: just allocated with this layout, before any code of the user's could refer to it; `forget` is
            // called before it's freed.
            unsafe { (self.table.keep)(self.serial, memory, layout) };
        }
        memory
    }

    /// The block is about to be freed. True if the host may have kept it.
    #[inline]
    fn forget(&self, memory: *mut u8) -> bool {
        let kept = KEPT_FROM.load(Ordering::Relaxed)..=KEPT_TO.load(Ordering::Relaxed);
        kept.contains(&memory.addr()) && (self.table.forget)(memory)
    }
}

/// The system's allocator, counted.
mod before_bind {
    use super::*;

    #[cold]
    pub(super) unsafe fn allocate(layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        let memory = unsafe { System.alloc(layout) };
        if !memory.is_null() {
            HELD_BEFORE_BIND.fetch_add(layout.size(), Ordering::Relaxed);
        }
        memory
    }

    #[cold]
    pub(super) unsafe fn reallocate(memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        let moved = unsafe { System.realloc(memory, layout, new_size) };
        if !moved.is_null() {
            HELD_BEFORE_BIND.fetch_add(new_size, Ordering::Relaxed);
            HELD_BEFORE_BIND.fetch_sub(layout.size(), Ordering::Relaxed);
        }
        moved
    }

    #[cold]
    pub(super) unsafe fn free(memory: *mut u8, layout: Layout) {
        HELD_BEFORE_BIND.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_before_binding_is_counted_and_given_back() {
        let layout = Layout::from_size_align(64, 8).unwrap();
        // SAFETY: allocated, resized and freed with matching layouts.
        unsafe {
            let memory = HostAllocator.alloc_zeroed(layout);
            assert_eq!(*memory.add(63), 0);
            assert_eq!(HELD_BEFORE_BIND.load(Ordering::Relaxed), 64);
            let memory = HostAllocator.realloc(memory, layout, 128);
            assert_eq!(HELD_BEFORE_BIND.load(Ordering::Relaxed), 128);
            HostAllocator.dealloc(memory, Layout::from_size_align(128, 8).unwrap());
        }
        assert_eq!(HELD_BEFORE_BIND.load(Ordering::Relaxed), 0);
    }
}
