//! The demo's server: it holds a world in memory and is upgraded while it runs.
//!
//! Two programs stand on this library: `demo-server` serves, and `demo` (run it as `cargo demo`) builds
//! everything, lays out a folder and becomes `demo-server`.

pub mod arguments;
mod begin;
mod candidate_name;
pub mod folders;
mod player_name;
mod refusal;
mod routes;
pub mod server;
mod stop;
