//! What logic asks of the C library's thread functions: done here, and remembered.
//!
//! The other end of `logic/src/threads.rs`. A destructor isn't registered with the C library at all: the thread
//! keeps it among what it [owes](crate::call::owed). A key is a real one without a destructor, so that the C
//! library never calls into a version by itself. A thread is a real one that starts here, and is counted until
//! it ends.

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::sync::Arc;

use liveswap_state::{Context, ThreadDestructor, ThreadStart, ThreadTable};

use crate::call::{Footprint, Hold, owed};

pub(super) const TABLE: ThreadTable = ThreadTable { at_exit, create_key, delete_key, set_key, start };

fn footprint(context: &Context) -> Arc<Footprint> {
    Footprint::find(context.serial()).expect("a library that is mapped has its footprint")
}

/// # Safety
///
/// As `__cxa_thread_atexit_impl`.
unsafe fn at_exit(context: &Context, destructor: ThreadDestructor, object: *mut c_void) -> c_int {
    let footprint = footprint(context);
    if !footprint.is_closing() {
        // SAFETY: the destructor may be called on this thread, once, as the caller vouches.
        unsafe { owed::record(&footprint, destructor, object) };
    }
    0
}

/// # Safety
///
/// As `pthread_key_create`.
unsafe fn create_key(context: &Context, key: *mut c_uint, destructor: Option<ThreadDestructor>) -> c_int {
    // SAFETY: as the caller vouches.
    unsafe { footprint(context).create_key(key, destructor) }
}

/// # Safety
///
/// As `pthread_key_delete`.
unsafe fn delete_key(context: &Context, key: c_uint) -> c_int {
    footprint(context).delete_key(key)
}

/// # Safety
///
/// As `pthread_setspecific`.
unsafe fn set_key(context: &Context, key: c_uint, value: *const c_void) -> c_int {
    if !value.is_null() {
        let footprint = footprint(context);
        if !footprint.is_closing() {
            owed::record_key(&footprint);
        }
    }
    // SAFETY: as the caller vouches.
    unsafe { libc::pthread_setspecific(key, value) }
}

/// What a thread of logic's needs to begin.
struct Beginning {
    footprint: Arc<Footprint>,
    start: ThreadStart,
    argument: *mut c_void,
}

/// # Safety
///
/// As `pthread_create`.
unsafe fn start(
    context: &Context,
    thread: *mut c_ulong,
    attributes: *const c_void,
    start: ThreadStart,
    argument: *mut c_void,
) -> c_int {
    let footprint = footprint(context);
    if footprint.is_closing() {
        return libc::EAGAIN;
    }
    footprint.begin_start();
    let beginning = Box::into_raw(Box::new(Beginning { footprint, start, argument }));
    // SAFETY: as the caller vouches; the new thread takes what it is given, or else it is taken back here. The C
    // library calls both kinds of function alike.
    unsafe {
        let begin = std::mem::transmute::<ThreadStart, extern "C" fn(*mut c_void) -> *mut c_void>(begin);
        let result = libc::pthread_create(thread, attributes.cast(), begin, beginning.cast());
        if result != 0 {
            Box::from_raw(beginning).footprint.not_started();
        }
        result
    }
}

/// The first function of a thread of logic's. That the thread has ended, the destructor of the engine's own
/// thread-local tells, which runs after this has returned. A C part may end its thread by `pthread_exit`, which
/// unwinds through here: nothing is left in this frame to drop.
extern "C-unwind" fn begin(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: made by `start`, for this thread alone.
    let Beginning { footprint, start, argument } = *unsafe { Box::from_raw(beginning.cast::<Beginning>()) };
    owed::run_for(footprint, Hold::Thread);
    // SAFETY: what logic asked for; the footprint keeps its code mapped.
    unsafe { start(argument) }
}
