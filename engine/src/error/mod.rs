//! Why an operation of the engine didn't do what was asked.
//!
//! One type per operation, each with what was found, what was expected and what to do. Each also has a
//! code for programs: stable, whatever the words of the message become.
//!
//! | module | what it holds |
//! |---|---|
//! | `push` | why a push ended without a publish |
//! | `candidate` | what can be wrong with a candidate, step by step |
//! | `probation` | why a version neither left by a rollback nor stayed by a commit |
//! | `set` | why there is no such set, or it was not pushed |
//! | `instance` | why an instance of a factory was not created, or not destroyed |
//! | `state` | why a state could not be written down, or not be put right |
//! | `build` | why there is no engine, or no handle of a module's |

mod build;
mod candidate;
mod instance;
mod probation;
mod push;
mod set;
mod state;

#[cfg(feature = "network")]
pub use crate::admin::{NetworkError, TokensError};
pub use crate::candidate::{
    AcceptError, Demand, ElfError, Exposure, KeyId, ManifestError, SignatureError, Trusted, VerifyError,
};
pub use crate::config::error::{ConfigError, ReloadError};
pub use crate::control::{
    AdmissionError, AuditError, ConfigureError, LoadError, MigrationError, PrepareError, RestoreError,
    YieldError,
};
pub use crate::host::hook::NoResult;
pub use crate::lifecycle::LifecycleError;
pub use crate::probation::{BadProbation, RecordError};
pub use crate::rehearsal::report::RehearsalError;
pub use crate::snapshot::error::SnapshotError;
pub use build::{BuildError, ModuleError};
pub use candidate::InspectError;
pub use instance::InstanceError;
pub use probation::{CommitError, RollbackError};
pub use push::PushError;
pub use set::{SetError, SetPushError};
pub use state::{RecoverError, TakeError};
