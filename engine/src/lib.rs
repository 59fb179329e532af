//! liveswap: upgrade the logic of a running server without a restart, a dropped call or lost state.
//!
//! A host process owns all persistent state. The logic that works on it lives in versioned shared
//! libraries, `logic.v1001.so`, `logic.v1002.so`. Pushing a new one
//!
//! 1. takes a private copy of it,
//! 2. compares it with the host without running any of its code: machine, compiler, interface, state,
//!    version,
//! 3. loads it beside the running version, and lets it prepare,
//! 4. publishes it with one store: calls in flight finish on the old version, new ones enter the new,
//! 5. keeps the old version ready to take over again, until a commit or the next push,
//! 6. unmaps it once the last call has left it, and looks whether it is really gone.
//!
//! This crate is the host's side: [`Engine`] loads and swaps, [`Module`] is what the host calls through.
//! What a host and its logic share is in `liveswap-state`, what a logic library links in `liveswap-logic`.
//!
//! A call costs no lock, no allocation, no system call, and no cache line that another thread writes; see
//! `ARCHITECTURE.md` in the repository for how.
//!
//! # Features
//!
//! On by default: `watch` (a folder whose files are pushed), `admin` (HTTP over a Unix socket, for
//! the `liveswap` command), `signals` (SIGHUP looks through the watched folders).
//!
//! Off by default: `network` (the same HTTP over the network, with TLS and tokens; it needs a C compiler).
//!
//! # Platforms
//!
//! Linux on x86-64, AArch64 or RISC-V, with the GNU C library.

#[cfg(feature = "admin")]
mod admin;
mod builder;
mod call;
mod candidate;
mod config;
mod control;
mod dependency;
mod engine;
pub mod error;
// For `ci/fuzz` and the tests: no feature asks for it.
mod foreign;
#[cfg(any(test, liveswap_fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod instance;
mod lease;
mod lifecycle;
mod lock;
mod module;
mod modules;
mod park;
mod probation;
pub mod registry;
pub mod rehearsal;
mod reply;
mod sets;
mod snapshot;
mod spawn;
pub mod status;
mod tell;
mod timer;
mod trigger;

#[cfg(feature = "network")]
pub use admin::NetworkAdmin;
pub use builder::{Builder, Pool, Registration};
pub use call::Guard;
pub use call::suspicion::{SuspectPolicy, Suspicion};
pub use candidate::{
    Abi, CandidateName, ConstantManifest, Digest, FieldManifest, FormerState, Manifest, MethodManifest,
    NotADigest, NotAVersion, StateManifest, TypeManifest, VersionNumber, inspect, read_signature,
    signature_beside,
};
pub use control::{Event, Moment, SwapStep};
pub use engine::{Engine, Migrated, Published, Push, PushOutcome};
pub use error::{
    BuildError, CommitError, InstanceError, ModuleError, PushError, RecoverError, RollbackError, TakeError,
};
pub use host::CountingAllocator;
pub use host::output::Output;
pub use instance::Instance;
pub use lease::Lease;
pub use lifecycle::{LifecycleError, LifecyclePhase};
pub use liveswap_state::{BuiltIn, CallError, Lane};
pub use module::Module;
pub use park::on_thread_park;
pub use probation::{BadProbation, Probation, Reason};
pub use registry::Registry;
pub use rehearsal::Rehearsal;
pub use sets::{SetPushed, SetStatus, SetSwaps};
pub use status::Status;
#[cfg(feature = "signals")]
pub use trigger::end::EndSignal;
