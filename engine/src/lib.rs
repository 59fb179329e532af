//! x
#[cfg(feature = "admin")]
mod admin;
mod builder;
mod call;
mod candidate;
mod control;
mod engine;
pub mod error;
mod host;
mod lock;
mod module;
pub mod status;
mod trigger;

pub use builder::Builder;
pub use call::Guard;
pub use candidate::{
    CandidateName, Digest, Manifest, MethodManifest, NotAVersion, StateManifest, VersionNumber, inspect,
};
pub use engine::{Engine, Published, Push, PushOutcome};
pub use error::{BuildError, CommitError, ModuleError, PushError, RollbackError};
pub use module::Module;
pub use status::Status;
