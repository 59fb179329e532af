//! Candidates: files that ask to become versions. Nothing of one is trusted, and none of its code runs,
//! before it has passed through here.
//!
//! [`accept`] copies it, [`nodelete`] lets the copy be unmapped, [`obstacles`] finds what may still stand in the
//! way of that, [`elf`] and [`manifest`] read it, [`verify`] compares it with the host, [`mod@state`] its state with the
//! one that is running.

pub(crate) mod accept;
mod elf;
#[cfg(any(test, liveswap_fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod manifest;
pub(crate) mod name;
mod nodelete;
pub(crate) mod obstacles;
pub(crate) mod state;
pub(crate) mod verify;

pub use accept::{AcceptError, Digest};
pub use elf::ElfError;
pub use manifest::{Manifest, ManifestError, MethodManifest, inspect};
pub use name::{CandidateName, NotAVersion, VersionNumber};
pub use state::{FieldManifest, FormerState, StateManifest, TypeManifest};
pub use verify::VerifyError;
