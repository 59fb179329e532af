//! The data that outlives each version of the demo's logic.
//!
//! Only logic links this crate. The server keeps the world without knowing what it is made of.

use std::sync::atomic::AtomicU64;

use liveswap_state::State;

/// All that the game remembers.
#[derive(Debug, State)]
pub struct World {
    /// The version that answered the latest hello.
    pub last_version: String,
    /// The name of the game that answered the latest hello.
    pub last_name: String,
    /// The total of all hits. Atomic, because hits share the world.
    pub total: AtomicU64,
}

impl World {
    /// A world in which nobody has said hello yet.
    pub fn new() -> Self {
        Self { last_version: "0".to_owned(), last_name: String::new(), total: AtomicU64::new(0) }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
