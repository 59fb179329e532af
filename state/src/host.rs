//! The host table: all that logic may ask of the host, as function pointers.
//!
//! A library needs no linker flag and no symbol of the host: the engine hands it this table right after
//! loading, before any other code of it runs. Both sides were built by the same compiler from the same
//! contract (both are compared before loading), so Rust's own types cross in it.

use std::alloc::Layout;
use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::panic::Location;

use crate::Context;

/// The version of the contract: the host table, [`Entry`](crate::Entry), [`Context`], how a call is made, and how a
/// [`Sharded`](crate::Sharded) lies in memory. Counted up with every change to one of them.
pub const CONTRACT: u32 = 5;

/// What the host offers. It lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub struct HostTable {
    /// The host's allocator. Values cross the interface and are freed by whoever holds them last, so
    /// both sides must use the same one.
    pub memory: MemoryTable,
    /// The host's `tracing` subscriber.
    pub events: EventTable,
    /// What would tie threads to the library behind the host's back.
    pub threads: ThreadTable,
    /// A panic begins in logic. Told where it happens, while its stack is still there; never unwinds.
    pub panicked: fn(&Context, &PanicReport<'_>),
}

/// The host's allocator, as `std::alloc` has it. The contracts are those of the functions there.
///
/// Who asks for memory says so with its [serial](Context::serial), by which the host can count what each version
/// has. Freeing needs none: the host knows whose memory it is, and anybody may free it.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTable {
    /// `std::alloc::alloc`
    pub allocate: unsafe fn(usize, Layout) -> *mut u8,
    /// `std::alloc::alloc_zeroed`
    pub allocate_zeroed: unsafe fn(usize, Layout) -> *mut u8,
    /// `std::alloc::realloc`
    pub reallocate: unsafe fn(usize, *mut u8, Layout, usize) -> *mut u8,
    /// `std::alloc::dealloc`
    pub free: unsafe fn(*mut u8, Layout),
    /// Notes that a block is the library's own: it's freed with the library.
    ///
    /// # Safety
    ///
    /// The block must have been allocated here with this layout, and nothing outside of the library may refer to
    /// it. It must be [forgotten](Self::forget) before it's freed otherwise.
    pub keep: unsafe fn(usize, *mut u8, Layout),
    /// The block is about to be freed by the library itself. True if it was noted.
    pub forget: fn(*mut u8) -> bool,
}

/// What runs when a thread ends: a thread-local's destructor, or that of a key's value.
pub type ThreadDestructor = unsafe extern "C" fn(*mut c_void);

/// What a thread starts with. It may end by `pthread_exit`, which unwinds.
pub type ThreadStart = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// The functions of the C library that leave something of the caller with a thread. A library that went to
/// the C library for them could never be unmapped safely: a destructor would run code that is gone, a thread
/// would go on in it. So a logic library goes to the host, which remembers what is left on which thread.
///
/// Each has the contract of the function that it stands for, and its result: 0, or an error number.
#[derive(Clone, Copy, Debug)]
pub struct ThreadTable {
    /// `__cxa_thread_atexit_impl`: runs a destructor when this thread ends, at the latest.
    pub at_exit: unsafe fn(&Context, ThreadDestructor, *mut c_void) -> c_int,
    /// `pthread_key_create`
    pub create_key: unsafe fn(&Context, *mut c_uint, Option<ThreadDestructor>) -> c_int,
    /// `pthread_key_delete`
    pub delete_key: unsafe fn(&Context, c_uint) -> c_int,
    /// `pthread_setspecific`
    pub set_key: unsafe fn(&Context, c_uint, *const c_void) -> c_int,
    /// `pthread_create`
    pub start: unsafe fn(&Context, *mut c_ulong, *const c_void, ThreadStart, *mut c_void) -> c_int,
}

/// The host's `tracing` subscriber. Everything passed is borrowed for the call and copied by the host.
#[derive(Clone, Copy, Debug)]
pub struct EventTable {
    /// Whether the host wants events of this place.
    pub enabled: fn(&Context, &Place<'_>) -> bool,
    /// An event happened.
    pub record: fn(&Context, &Place<'_>, &[(&str, Value<'_>)]),
}

/// Where in the logic's source an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'call> {
    /// The event's target: the module path, unless the macro named another.
    pub target: &'call str,
    /// How grave the event is.
    pub level: Level,
    /// The source file.
    pub file: Option<&'call str>,
    /// The line in it.
    pub line: Option<u32>,
    /// The names of the event's fields.
    pub fields: &'call [&'call str],
}

/// How grave an event is. `tracing::Level` itself doesn't cross: what it is made of is tracing's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The value of an event's field. What isn't a number or a truth value comes as its text.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'call> {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Truth(bool),
    Text(&'call str),
    /// Text that stands for a value of another type: shown without quotes.
    Formatted(&'call str),
}

/// A panic, as its hook sees it. Borrowed for the call.
#[derive(Clone, Copy, Debug)]
pub struct PanicReport<'call> {
    /// The panic's message, or a remark that its payload isn't text.
    pub message: &'call str,
    /// Where in the source.
    pub location: Option<&'call Location<'call>>,
}
