//! Why a call beside the executor gave no result.

use liveswap_state::CallError;
use thiserror::Error;

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AsyncCallError {
    /// As any call: the module's or the version's answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It was awaited outside of a tokio runtime, so there is nothing to make the call on.
    #[error("`{name}` wasn't called: it was awaited outside of a tokio runtime: await it in a task of one")]
    NoRuntime {
        /// The call's or the lease's name.
        name: String,
    },
    /// The runtime ends, and makes no call any more that hasn't begun.
    #[error("`{name}` wasn't called: the tokio runtime ends: await all calls before the runtime is dropped")]
    RuntimeEnding {
        /// The call's or the lease's name.
        name: String,
    },
}

impl AsyncCallError {
    /// A code for programs, which stays.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::NoRuntime { .. } => "no-runtime",
            Self::RuntimeEnding { .. } => "runtime-ending",
        }
    }
}
