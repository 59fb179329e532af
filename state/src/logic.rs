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

    /// Called once after the last call has left this version and before it leaves memory, if
    /// [`prepare`](Self::prepare) was called, whichever way that ended. The place to stop the threads that this
    /// version has started, and to free what its statics hold: Rust's statics have no destructors.
    ///
    /// It runs on a thread of its own. The version stays mapped until it returns, and until every thread that
    /// it has started has ended. A panic in it is logged, and is no more than a return.
    fn teardown(context: &Context) {
        let _ = context;
    }
}
