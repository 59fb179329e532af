//! Why an operation of the engine didn't do what was asked.
//!
//! One type per operation, each with what was found, what was expected and what to do. Each also has a
//! code for programs: stable, whatever the words of the message become.

mod build;
mod candidate;
mod probation;
mod push;
mod state;

#[cfg(feature = "network")]
pub use crate::admin::{NetworkError, TokensError};
pub use crate::candidate::{
    AcceptError, Demand, ElfError, Exposure, KeyId, ManifestError, SignatureError, Trusted, VerifyError,
};
pub use crate::control::{AuditError, LoadError, MigrationError, PrepareError, RestoreError, YieldError};
pub use crate::host::hook::NoResult;
pub use crate::probation::{BadProbation, RecordError};
pub use crate::rehearsal::report::RehearsalError;
pub use crate::snapshot::error::SnapshotError;
pub use build::{BuildError, ModuleError};
pub use candidate::InspectError;
pub use probation::{CommitError, RollbackError};
pub use push::PushError;
pub use state::{RecoverError, TakeError};
