//! Making a thread new to a library: its thread-locals become what they are on a thread that has just started.
//!
//! A thread that goes to sleep runs the destructors of its thread-locals, so that it doesn't keep a version in
//! memory while it sleeps. But the version may not have retired yet, and the thread may call it again when it
//! wakes. It would then find thread-locals that say "destroyed", and `std::thread::current()` would panic.
//!
//! What says so is in the thread-locals themselves: a thread's block of a library's thread-locals starts as a
//! copy of the image in the file (the `PT_TLS` segment), zeros after it, and nothing outside of the block
//! knows that it was used (see U. Drepper, "ELF Handling For Thread-Local Storage"). So copying the image
//! again makes the thread new. It's what ending the thread and starting another would do.
//!
//! The loader tells where a block is, but for blocks that it has put beside the program's own: a library that
//! was compiled for such a place (`-Z tls-model=initial-exec`), or on a machine whose compiler leaves it to the
//! loader (AArch64). Then the thread can't be made new.

use std::ffi::{c_int, c_void};
use std::ptr;

/// This thread's block of one library's thread-locals.
pub(super) struct Block {
    /// Where the block is; null if there is none.
    block: *mut u8,
    /// What a block starts with.
    image: *const u8,
    image_length: usize,
    length: usize,
}

impl Block {
    /// Makes the block new.
    ///
    /// # Safety
    ///
    /// The library must still be mapped. This thread must not be running code of it, and must have run the
    /// destructors of its thread-locals: nothing may refer to any of them.
    pub(super) unsafe fn reset(self) {
        if !self.block.is_null() {
            // SAFETY: the block is this thread's own, `length` bytes long, and nothing refers into it, as the
            // caller vouches. The image is mapped at its place in the library, and doesn't overlap the block.
            unsafe {
                ptr::copy_nonoverlapping(self.image, self.block, self.image_length);
                self.block.add(self.image_length).write_bytes(0, self.length - self.image_length);
            }
        }
    }
}

struct Search {
    /// An address inside the library.
    address: usize,
    found: Option<Block>,
}

/// Whether the loader tells where this library's blocks are. This thread must have touched a thread-local of it.
///
/// # Safety
///
/// `address` must be inside a library that stays mapped meanwhile.
pub(super) unsafe fn are_told(address: usize) -> bool {
    // SAFETY: as the caller vouches.
    unsafe { block_of(address) }.is_some_and(|block| block.length == 0 || !block.block.is_null())
}

/// This thread's block of the thread-locals of the library at `address`, which the loader tells of. It may be that
/// it has none yet. None if no library is there.
///
/// # Safety
///
/// As [`are_told`].
pub(super) unsafe fn block_of(address: usize) -> Option<Block> {
    let mut search = Search { address, found: None };
    // SAFETY: the function is called before this returns, with this very pointer.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

/// One loaded object. Returns 1 to end the walk.
///
/// # Safety
///
/// For `dl_iterate_phdr` to call, with the address of a [`Search`].
unsafe extern "C" fn visit(object: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: what the loader passes is valid for the call; the last argument is `block_of`'s own.
    let (object, search) = unsafe { (&*object, &mut *search.cast::<Search>()) };
    // SAFETY: the loader gives the headers' address and number.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    let base = object.dlpi_addr as usize;
    let is_inside = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).any(|header| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        (start..start.wrapping_add(header.p_memsz as usize)).contains(&search.address)
    });
    if !is_inside {
        return 0;
    }
    let block = object.dlpi_tls_data.cast::<u8>();
    search.found = match headers.iter().find(|header| header.p_type == libc::PT_TLS) {
        None => Some(Block { block: ptr::null_mut(), image: ptr::null(), image_length: 0, length: 0 }),
        Some(image) => Some(Block {
            block,
            image: (base + image.p_vaddr as usize) as *const u8,
            image_length: image.p_filesz as usize,
            length: image.p_memsz as usize,
        }),
    };
    1
}
