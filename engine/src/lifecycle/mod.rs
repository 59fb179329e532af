//! The lifecycle of modules: registered, initialized, started, stopped; what a module requires comes before it.
//!
//! Everything here decides and nothing here does: which modules are next, in which order, and what may not be now. No
//! clock, no thread, no hook, so every order of events can be tried by a test. `control/lifecycle.rs` carries it out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`graph`] | what requires what, in which order that comes, and cycles |
//! | [`phase`] | how far a module is, and what may follow |
//! | [`plan`] | which modules to initialize, start or stop, one after the other |
//! | [`error`] | why that isn't so |
//! | [`by_hand`] | what the host asks for itself |

mod by_hand;
pub(crate) mod error;
pub(crate) mod graph;
pub(crate) mod phase;
pub(crate) mod plan;

pub use error::LifecycleError;
pub use phase::LifecyclePhase;

/// What the host asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Initialize,
    Start,
    Stop,
}
