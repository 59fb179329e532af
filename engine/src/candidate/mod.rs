//! Candidates: files that ask to become versions. Nothing of one is trusted, and none of its code runs,
//! before it has passed through here.
//!
//! [`walk`] finds it, [`folder`] says whose it is, [`accept`] takes its bytes, [`digest`] says what they are,
//! [`signature`] who has signed them. [`private`] holds the copy of them, [`nodelete`] lets it be unmapped, [`obstacles`]
//! finds what may still stand in the way of that. [`elf`] and [`manifest`] read it, [`foreign`] that of a library in C,
//! within [`limits`], [`verify`] compares it with the host, [`mod@state`] its state with the one that is running.

pub(crate) mod accept;
mod digest;
mod elf;
pub(crate) mod folder;
pub(crate) mod foreign;
#[cfg(any(test, liveswap_fuzzing))]
pub(crate) mod fuzzing;
mod limits;
pub(crate) mod manifest;
pub(crate) mod name;
mod nodelete;
pub(crate) mod obstacles;
mod own_group;
pub(crate) mod private;
pub(crate) mod signature;
pub(crate) mod state;
pub(crate) mod verify;
pub(crate) mod walk;

pub use accept::AcceptError;
pub use digest::{Digest, NotADigest};
pub use elf::ElfError;
pub use folder::Exposure;
pub use manifest::{Abi, ConstantManifest, Manifest, ManifestError, MethodManifest, inspect};
pub use name::{CandidateName, NotAVersion, VersionNumber};
pub use signature::{Demand, KeyId, SignatureError, Trusted, read_signature, signature_beside};
pub use state::{FieldManifest, FormerState, StateManifest, TypeManifest};
pub use verify::VerifyError;
