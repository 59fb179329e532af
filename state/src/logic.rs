//! What every implementation of an interface brings: its state and its hooks.

use crate::{Context, State};

/// One module's logic: which state it works on, and its hooks. The methods are in the interface's own
/// trait, `GameLogic` for an interface `Game`.
///
/// No method takes `self`: a version holds no data of its own. Whatever must last is in the state.
pub trait Logic: Sized + 'static {
    /// What the host keeps for this module. Threads share it, hence `Send` and `Sync`.
    type State: State + Send + Sync;

    /// Makes the state. Called once, for the first version that a process loads; later versions find
    /// the state as it is.
    fn create(context: &Context) -> Self::State;

    /// Asked after loading and before publishing: can this version serve? It must not touch the state.
    ///
    /// # Errors
    ///
    /// A reason, for people to read. The push is refused with it and nothing has changed.
    fn prepare(context: &Context) -> Result<(), String> {
        let _ = context;
        Ok(())
    }

    /// Called once after the last call has left this version, if [`prepare`](Self::prepare) was called, whichever
    /// way that ended. The place to stop the threads that this version has started, and to take back what it has given
    /// to others: signal handlers, callbacks, buffers. (A thread pool of rayon's must be one of your own: its global one
    /// never ends.)
    ///
    /// It runs on a thread of its own. The version stays mapped until it returns, and until every thread that
    /// it has started has ended. A panic in it is logged, and is no more than a return.
    fn teardown(context: &Context) {
        let _ = context;
    }

    /// Called once after [`teardown`](Self::teardown), when all threads that this version has started have ended, and
    /// all others have run the destructors of its thread-locals. Afterwards only those of thread-locals that this hook
    /// touches still run, and the library's own.
    ///
    /// The place to free what its statics hold: Rust's statics have no destructors, so that memory is lost
    /// otherwise. A static of another crate's can be freed here too, if there is a way to it. What `crossbeam-epoch`
    /// keeps for all its users, rayon among them, some kilobytes for each thread:
    ///
    /// ```ignore
    /// // SAFETY: nothing uses the collector any more, nobody else drops it, and what was deferred doesn't pin.
    /// drop(unsafe { std::ptr::read(crossbeam_epoch::default_collector()) });
    /// ```
    ///
    /// It runs on a thread of its own, as `teardown` does.
    fn unload(context: &Context) {
        let _ = context;
    }
}
