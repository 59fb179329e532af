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

use std::ffi::{c_int, c_void};
use std::ptr;

/// Finds the library and its block, and copies the image.
struct Reset {
    /// An address inside the library.
    address: usize,
}

/// Makes this thread's block of the thread-locals of the library at `address` new. Without a block there is
/// nothing to do: a thread has one from the first time that it touches a thread-local.
///
/// # Safety
///
/// `address` must be inside a library that stays mapped meanwhile. This thread must not be running code of it,
/// and must have run the destructors of its thread-locals: nothing may refer to any of them.
pub(super) unsafe fn reset(address: usize) {
    let mut reset = Reset { address };
    // SAFETY: the function is called before this returns, with this very pointer.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut reset).cast()) };
}

/// One loaded object. Returns 1 to end the walk.
unsafe extern "C" fn visit(object: *mut libc::dl_phdr_info, _: usize, reset: *mut c_void) -> c_int {
    // SAFETY: what the loader passes is valid for the call; the last argument is `reset`'s own.
    let (object, reset) = unsafe { (&*object, &*reset.cast::<Reset>()) };
    // SAFETY: the loader gives the headers' address and number.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    let base = object.dlpi_addr as usize;
    let is_inside = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).any(|header| {
        let start = base.wrapping_add(header.p_vaddr as usize);
        (start..start.wrapping_add(header.p_memsz as usize)).contains(&reset.address)
    });
    if !is_inside {
        return 0;
    }
    let image = headers.iter().find(|header| header.p_type == libc::PT_TLS);
    if let Some(image) = image
        && !object.dlpi_tls_data.is_null()
    {
        let (filled, whole) = (image.p_filesz as usize, image.p_memsz as usize);
        let block = object.dlpi_tls_data.cast::<u8>();
        // SAFETY: the block is this thread's own, `whole` bytes long, and nothing refers into it, as `reset`'s
        // caller vouches. The image is mapped at its place in the library, and doesn't overlap the block.
        unsafe {
            ptr::copy_nonoverlapping((base + image.p_vaddr as usize) as *const u8, block, filled);
            block.add(filled).write_bytes(0, whole - filled);
        }
    }
    1
}
