//! The entry: the one symbol that a logic library exports.
//!
//! It is a static and not a function, so that finding it runs none of the library's code. The first
//! functions of it that the engine calls are [`Entry::before_bind`], which only looks, and [`Entry::bind`]; nothing
//! of the library but its constructors has run before them.

use std::fmt;

use crate::table::StateTable;
use crate::{CodePointer, Context, Fenced, HostTable, Options, Replay};

/// The name of the symbol: a static of type [`Entry`].
pub const ENTRY_SYMBOL: &str = "liveswap_entry";

/// All that the engine needs to know of a loaded library.
///
/// Its layout may be relied on only after the manifest has shown the same contract and compiler.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The manifest's bytes as they are in memory; compared with those that were read from the file.
    pub manifest: &'static [u8],
    /// What has happened already. It may be called before [`bind`](Self::bind), and touches a thread-local of the
    /// library, so that this thread has a block of them.
    pub before_bind: fn() -> BeforeBind,
    /// Hands over the host table. No other code of the library runs before it, but for constructors and
    /// [`before_bind`](Self::before_bind).
    ///
    /// # Safety
    ///
    /// Called once, before all else. Both references must stay valid as long as the library is mapped.
    pub bind: unsafe fn(&'static HostTable, &'static Context) -> Result<(), BindError>,
    /// The [`prepare`](crate::Logic::prepare) hook.
    pub prepare: fn(&Context) -> Fenced<Result<(), String>>,
    /// The [`self_test`](crate::Logic::self_test) hook.
    pub self_test: fn(&Context) -> Fenced<Result<(), String>>,
    /// The [`prepare_to_yield`](crate::Logic::prepare_to_yield) hook.
    pub prepare_to_yield: fn(&Context) -> Fenced<Result<(), String>>,
    /// The [`yielded`](crate::Logic::yielded) hook.
    pub yielded: fn(&Context) -> Fenced<()>,
    /// The [`resume`](crate::Logic::resume) hook.
    pub resume: fn(&Context) -> Fenced<()>,
    /// The [`health`](crate::Logic::health) hook.
    ///
    /// # Safety
    ///
    /// The address is of a state of the library's type, which nobody has alone until this returns.
    pub health: unsafe fn(*const (), &Context) -> Fenced<Result<(), String>>,
    /// The [`create`](crate::Logic::create) hook; the state comes as the address of a `Box` of it.
    pub create: fn(&Context) -> Fenced<*mut ()>,
    /// The [`configure`](crate::Logic::configure) hook.
    ///
    /// # Safety
    ///
    /// The address is of a state of the library's type, which nobody else uses until this returns.
    pub configure: unsafe fn(*mut (), &Options, &Context) -> Fenced<Result<(), String>>,
    /// The [`initialize`](crate::Logic::initialize) hook.
    ///
    /// # Safety
    ///
    /// The address is of a state of the library's type, which nobody else has until this returns.
    pub initialize: unsafe fn(*mut (), &Context) -> Fenced<Result<(), String>>,
    /// The [`start`](crate::Logic::start) hook.
    ///
    /// # Safety
    ///
    /// As [`initialize`](Self::initialize).
    pub start: unsafe fn(*mut (), &Context) -> Fenced<Result<(), String>>,
    /// The [`stop`](crate::Logic::stop) hook.
    ///
    /// # Safety
    ///
    /// As [`initialize`](Self::initialize).
    pub stop: unsafe fn(*mut (), &Context) -> Fenced<()>,
    /// The [`took_over`](crate::Logic::took_over) hook.
    pub took_over: fn(&Context) -> Fenced<()>,
    /// What can be done with the state, and with those that it came from.
    pub state: StateTable,
    /// The [`teardown`](crate::Logic::teardown) hook.
    pub teardown: fn(&Context) -> Fenced<()>,
    /// The [`unload`](crate::Logic::unload) hook.
    pub unload: fn(&Context) -> Fenced<()>,
    /// How far the state, those that it came from, arguments and results are aligned at most, with all that they hold,
    /// in bytes.
    pub alignment: usize,
    /// The methods' code, in the order of the manifest.
    pub code: &'static [CodePointer],
    /// What makes a call of each method again from the bytes of its arguments, in the same order.
    pub replay: &'static [Replay],
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entry").field("methods", &self.code.len()).finish_non_exhaustive()
    }
}

/// What constructors of a library did with the C library's own thread functions, before there was a host to
/// go to. Keys and threads keep the library from being closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeforeBind {
    /// Destructors of thread-locals that were registered. Of these the C library takes care: it keeps the library
    /// mapped until they have run.
    pub destructors: usize,
    /// Keys that were created.
    pub keys: usize,
    /// Threads that were started.
    pub threads: usize,
}

/// Why a library can't be bound to its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Code of the library ran while it was being loaded and still holds memory. That memory isn't the
    /// host's, and freeing it through the host would corrupt the heap.
    #[error(
        "a constructor of the library holds {bytes} bytes that it allocated while being loaded: \
         allocate on first use instead"
    )]
    MemoryBeforeBind {
        /// How much is held.
        bytes: usize,
    },
    /// The library was bound before: the loader gave out an old mapping for a new file.
    #[error("the library is bound already: the loader didn't map this file afresh")]
    AlreadyBound,
}
