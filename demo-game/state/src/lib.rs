//! The data that outlives each version of the demo's logic.
//!
//! Only logic links this crate. The server keeps the world without knowing what it is made of.
//!
//! Version 1001 of the logic works on schema 1, and version 1002 on schema 2, which says how one becomes the other and
//! back. One source is built for both, the second with the feature `v2`. In a project of yours the types of the present
//! would stand here, and those of the version before in `mod v1`, for as long as anybody comes from there.

pub mod v1;
pub mod v2;

#[cfg(not(feature = "v2"))]
pub use v1::{Player, World};
#[cfg(feature = "v2")]
pub use v2::{Player, World};
