//! Schema 1, which version 1001 works on.

use std::sync::atomic::AtomicU64;

use liveswap_state::{Sharded, State};

/// All that the game remembers.
#[derive(Debug, State)]
pub struct World {
    /// The version that answered the latest hello.
    pub last_version: String,
    /// The name of the game that answered the latest hello.
    pub last_name: String,
    /// The total of all hits. Atomic, because hits share the world.
    pub total: AtomicU64,
    /// How many players have joined so far.
    pub joined: AtomicU64,
    /// The players, by their numbers.
    pub players: Sharded<u64, Player>,
}

/// Somebody who has joined.
#[derive(Debug, State)]
pub struct Player {
    /// Their number.
    pub id: u64,
    /// What they call themselves.
    pub name: String,
    /// Their points.
    pub score: u32,
}

impl World {
    /// A world in which nobody has said hello yet.
    pub fn new() -> Self {
        Self {
            last_version: "0".to_owned(),
            last_name: String::new(),
            total: AtomicU64::new(0),
            joined: AtomicU64::new(0),
            players: Sharded::new(),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Player {
    /// Somebody who has just joined.
    pub fn new(id: u64, name: &str) -> Self {
        Self { id, name: name.to_owned(), score: 0 }
    }

    /// Adds to their points.
    pub fn add(&mut self, points: u32) {
        self.score = self.score.saturating_add(points);
    }
}
