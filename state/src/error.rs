//! What a call into a module can answer instead of its result.

use thiserror::Error;

/// Why a call gave no result. Logic never brings the host down: every way to fail is a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The module has no active version: nothing was loaded yet, its state was lost, or the engine has stopped. Or the
    /// call was made by the engine's own thread, from a subscriber, while it has no version for a moment.
    #[error("no active version of module `{module}`: push one, or put one into the watched folder")]
    NoActiveVersion {
        /// The module that was called.
        module: String,
    },
    /// Logic panicked. The panic was caught inside the library; the version still serves.
    #[error("module `{module}` version {version} panicked in `{method}` at {location}: {message}")]
    Panicked {
        /// The module that was called.
        module: String,
        /// The version the call ran on.
        version: String,
        /// The method that panicked.
        method: String,
        /// The panic's own message.
        message: String,
        /// File, line and column of the panic, as the library's compiler saw them.
        location: String,
    },
    /// The call was made from a thread-local's destructor, after the thread has taken leave of the engine.
    #[error("module `{module}` was called by a thread that is ending: make the call before the thread ends")]
    ThreadEnding {
        /// The module that was called.
        module: String,
    },
    /// The thread is already inside a call of the same module that this call can't share state with:
    /// an exclusive call was made within another call, or any call within an exclusive one. Waiting
    /// would wait for itself.
    #[error(
        "`{method}` of module `{module}` was called from within another call of the same module that it \
         can't share the state with: make the call after the outer one has returned"
    )]
    Reentrant {
        /// The module that was called.
        module: String,
        /// The method that was refused.
        method: String,
    },
    /// The thread is inside of another module and borrows its state, and to wait for this one's would be for ever: whoever
    /// has it waits for the former.
    #[error(
        "`{method}` of module `{module}` wasn't called: threads that have a module's state each would wait for each \
         other's for ever: call modules in one order, or from calls that don't have a state alone"
    )]
    Deadlock {
        /// The module that was called.
        module: String,
        /// The method that was refused.
        method: String,
    },
    /// The state was migrated to another shape while this unit of work was in a call that doesn't touch it. What it
    /// would do with the state now, it would do on another version than it began on.
    #[error(
        "`{method}` of module `{module}` came too late for version {version}: the state was migrated meanwhile: make \
         the call again, in a new unit of work"
    )]
    Superseded {
        /// The module that was called.
        module: String,
        /// The version that the unit of work is on.
        version: String,
        /// The method that was refused.
        method: String,
    },
    /// A call was made through a lease by a thread that is inside another version of the same module already, or of a
    /// module of its set that goes with another version of it. It can't be in both.
    #[error(
        "module `{module}` was called through a lease of version {leased} from within a call of another version, or of a \
         module of its set that goes with another one: make the call after the outer one has returned, or through the \
         same lease"
    )]
    InsideAnother {
        /// The module that was called.
        module: String,
        /// The version that is leased.
        leased: String,
    },
    /// An exclusive call has panicked and may have left the state half changed, and the host wants no calls on it.
    #[error(
        "`{method}` of module `{module}` wasn't called: `{by}` has panicked before and may have left the state half \
         changed: restore a snapshot, or have it trusted as it is"
    )]
    Suspect {
        /// The module that was called.
        module: String,
        /// The method that was refused.
        method: String,
        /// The method that has panicked.
        by: String,
    },
}
