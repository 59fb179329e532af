//! Memory for logic, and whose it is.
//!
//! Logic's requests are served by the host's allocator, so that each side may free what the other has made. For
//! the same reason only the block itself can tell, when it's freed, which version allocated it. So the host may
//! wrap its allocator into a [`CountingAllocator`], which puts a header with the owner before each block: the
//! serial of a load, or 0 for the host itself.
//!
//! Who asks for a block isn't in the request as `GlobalAlloc` has it. The functions that logic calls leave a
//! note of it in a thread-local, and the wrapper, further down on the same thread, reads it.

use std::alloc::{GlobalAlloc, Layout, LayoutError};
use std::cell::Cell;
use std::hint::black_box;
use std::ptr;

use super::ledger::LEDGER;
use super::own_blocks;

/// The owner of what the host allocates for itself.
const HOST: usize = 0;

thread_local! {
    /// In whose name this thread is allocating. Without a destructor and without anything to initialize, so it
    /// can be used in the allocator.
    static ASKING: Cell<usize> = const { Cell::new(HOST) };
}

/// `std::alloc::alloc`, for the load with this serial.
pub(super) unsafe fn allocate(owner: usize, layout: Layout) -> *mut u8 {
    // SAFETY: the caller keeps the contract.
    let memory = in_name_of(owner, || unsafe { std::alloc::alloc(layout) });
    noted(owner, memory, layout)
}

/// `std::alloc::alloc_zeroed`, for the load with this serial.
pub(super) unsafe fn allocate_zeroed(owner: usize, layout: Layout) -> *mut u8 {
    // SAFETY: the caller keeps the contract.
    let memory = in_name_of(owner, || unsafe { std::alloc::alloc_zeroed(layout) });
    noted(owner, memory, layout)
}

/// `std::alloc::realloc`, for the load with this serial, whoever had the block before.
pub(super) unsafe fn reallocate(owner: usize, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
    if !own_blocks::may_be_own(layout) {
        // SAFETY: the caller keeps the contract.
        return in_name_of(owner, || unsafe { std::alloc::realloc(memory, layout, new_size) });
    }
    own_blocks::forget(memory);
    // SAFETY: as above.
    let moved = in_name_of(owner, || unsafe { std::alloc::realloc(memory, layout, new_size) });
    if moved.is_null() {
        noted(owner, memory, layout);
        return moved;
    }
    // SAFETY: the block has this layout now, so it's a valid one.
    noted(owner, moved, unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) })
}

/// `std::alloc::dealloc`, for any load.
pub(super) unsafe fn free(memory: *mut u8, layout: Layout) {
    // Before: afterwards the address may be another block's.
    if own_blocks::may_be_own(layout) {
        own_blocks::forget(memory);
    }
    // SAFETY: the caller keeps the contract.
    unsafe { std::alloc::dealloc(memory, layout) };
}

#[inline]
fn noted(owner: usize, memory: *mut u8, layout: Layout) -> *mut u8 {
    if own_blocks::may_be_own(layout) {
        // SAFETY: the functions here have allocated it with this layout, and forget it before it's freed.
        unsafe { own_blocks::note(owner, memory, layout) };
    }
    memory
}

fn in_name_of(owner: usize, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
    ASKING.with(|asking| {
        asking.set(owner);
        // The compiler may take it that an allocation reads nothing the program has written, and drop the
        // note as one that is overwritten before anybody reads it.
        black_box(asking);
        let memory = allocate();
        asking.set(HOST);
        memory
    })
}

/// The bytes that a load has allocated and nobody has freed yet; none if nobody counts.
pub(crate) fn live_bytes(serial: usize) -> Option<usize> {
    // A byte, asked for in the load's name and given back at once: if the wrapper is installed, the ledger knows
    // the load from now on, even if it has never allocated anything.
    let layout = Layout::new::<u8>();
    // SAFETY: the layout has a size, and what is freed was allocated with it.
    unsafe {
        let memory = black_box(allocate(serial, layout));
        if !memory.is_null() {
            std::alloc::dealloc(memory, layout);
        }
    }
    LEDGER.balance(serial)
}

/// An allocator that counts which version's code allocated what, for a host to install as its global one.
///
/// ```
/// use std::alloc::System;
///
/// #[global_allocator]
/// static ALLOCATOR: liveswap::CountingAllocator<System> = liveswap::CountingAllocator::new(System);
/// # fn main() {}
/// ```
///
/// With it, the [status](crate::Status) says for each version how many bytes its code has allocated that are
/// still in use. For a version that was unmapped, those are the bytes that it has left behind: what it handed
/// over to the state and to callers, and what its statics leaked.
///
/// Memory belongs to whoever allocated it, or reallocated it last, whoever frees it. It is counted as it was
/// asked for. What a thousand later loads push out of the books isn't counted any more.
///
/// It costs each block of the process a header of 8 bytes, or of the block's alignment if that is more. Without
/// it, all works as well, and nothing is counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingAllocator<A> {
    allocator: A,
}

impl<A> CountingAllocator<A> {
    /// Counts what `allocator` gives out: [`System`](std::alloc::System), mimalloc, jemalloc, or whichever the
    /// host would have without it.
    pub const fn new(allocator: A) -> Self {
        Self { allocator }
    }
}

// SAFETY: each block is the part of one of the wrapped allocator's that lies behind the header. `with_header`
// gives the same answer for the same layout, so the wrapped allocator gets its own layouts back.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Ok((whole, header)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: with its header no block is empty, and the layout is that of a block with this header.
        unsafe { give_out(self.allocator.alloc(whole), header, layout.size()) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Ok((whole, header)) = with_header(layout) else { return ptr::null_mut() };
        // SAFETY: as above. Nothing but the header is written to.
        unsafe { give_out(self.allocator.alloc_zeroed(whole), header, layout.size()) }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let new_layout = Layout::from_size_align(new_size, layout.align());
        let (Ok((whole, header)), Ok((new_whole, _))) =
            (with_header(layout), new_layout.and_then(with_header))
        else {
            return ptr::null_mut();
        };
        // SAFETY: the caller got `memory` here, for this layout, so there is a header before it. The alignment
        // stays, and with it the header's length.
        unsafe {
            let owner = owner(memory).read();
            let block = self.allocator.realloc(memory.sub(header), whole, new_whole.size());
            if !block.is_null() {
                take_back(owner, layout.size());
            }
            give_out(block, header, new_size)
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; and as the block was given out, its layout with a header is a valid one.
        unsafe {
            let (whole, header) = with_header(layout).unwrap_unchecked();
            take_back(owner(memory).read(), layout.size());
            self.allocator.dealloc(memory.sub(header), whole);
        }
    }
}

/// The layout of a block together with its header, and the header's length, which the block's alignment tells.
/// The owner stands at the header's end.
#[inline]
fn with_header(layout: Layout) -> Result<(Layout, usize), LayoutError> {
    Layout::new::<usize>().extend(layout)
}

/// Where a block's owner stands.
///
/// # Safety
///
/// `memory` must lie behind a header.
#[inline]
unsafe fn owner(memory: *mut u8) -> *mut usize {
    // SAFETY: a header is no shorter than a word, and ends where `memory` begins.
    unsafe { memory.cast::<usize>().sub(1) }
}

/// Writes the header of a block, and books it for who asks. Gives the memory behind the header.
///
/// # Safety
///
/// `block` must be null, or a block with a header of this length and `size` bytes behind it.
#[inline]
unsafe fn give_out(block: *mut u8, header: usize, size: usize) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let asking = ASKING.get();
    if asking != HOST {
        LEDGER.add(asking, size);
    }
    // SAFETY: the block and the header's end are aligned for a word.
    unsafe {
        let memory = block.add(header);
        owner(memory).write(asking);
        memory
    }
}

#[inline]
fn take_back(owner: usize, size: usize) {
    if owner != HOST {
        LEDGER.subtract(owner, size);
    }
}

#[cfg(test)]
mod tests;
