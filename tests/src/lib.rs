//! What the black-box tests share: libraries to push, a host to push them to, and ways to see what
//! happens.

pub mod demo;
pub mod fixture;
pub mod host;
pub mod log;
pub mod maps;
pub mod patch;
pub mod wait;

pub use fixture::{Fixture, logic};
pub use host::Host;
pub use patch::Patched;
pub use wait::wait_until;
