//! What the black-box tests share: libraries to push, a host to push them to, and ways to see what
//! happens.

pub mod alone;
pub mod commands;
pub mod crowd;
pub mod demo;
pub mod fixture;
pub mod foreign;
pub mod hello;
pub mod host;
pub mod leaving;
pub mod life;
pub mod links;
pub mod log;
pub mod maps;
pub mod network;
pub mod outcome;
pub mod patch;
pub mod reaction;
pub mod rooms;
pub mod sets;
pub mod signing;
pub mod threads;
pub mod trial;
pub mod wait;
pub mod work;
pub mod world;

pub use fixture::{Fixture, logic};
pub use host::Host;
pub use patch::Patched;
pub use wait::{comes_true, wait_until};
