//! The host table: all that logic may ask of the host, as function pointers.
//!
//! A library needs no linker flag and no symbol of the host: the engine hands it this table right after
//! loading, before any other code of it runs. Both sides were built by the same compiler from the same
//! contract (both are compared before loading), so Rust's own types cross in it.

use std::alloc::Layout;
use std::panic::Location;

use crate::Context;

/// The version of the contract: the host table, [`Entry`](crate::Entry), [`Context`] and how a call is
/// made. Counted up with every change to one of them.
pub const CONTRACT: u32 = 2;

/// What the host offers. It lives as long as the process.
#[derive(Clone, Copy, Debug)]
pub struct HostTable {
    /// The host's allocator. Values cross the interface and are freed by whoever holds them last, so
    /// both sides must use the same one.
    pub memory: MemoryTable,
    /// The host's `tracing` subscriber.
    pub events: EventTable,
    /// A panic begins in logic. Told where it happens, while its stack is still there; never unwinds.
    pub panicked: fn(&Context, &PanicReport<'_>),
}

/// The host's allocator, as `std::alloc` has it. The contracts are those of the functions there.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTable {
    /// `std::alloc::alloc`
    pub allocate: unsafe fn(Layout) -> *mut u8,
    /// `std::alloc::alloc_zeroed`
    pub allocate_zeroed: unsafe fn(Layout) -> *mut u8,
    /// `std::alloc::realloc`
    pub reallocate: unsafe fn(*mut u8, Layout, usize) -> *mut u8,
    /// `std::alloc::dealloc`
    pub free: unsafe fn(*mut u8, Layout),
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
