//! Schema 2, which version 1002 works on: a player has a level, and a score may be a fraction.

use std::sync::atomic::AtomicU64;

use liveswap_state::{Migrate, MigrateError, Sharded, State};

use crate::v1;

/// All that the game remembers.
#[derive(Debug, State)]
#[state(version = 2, from = v1::World, additive)]
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
    #[state(migrate)]
    pub players: Sharded<u64, Player>,
}

/// Somebody who has joined.
#[derive(Debug, State)]
#[state(version = 2)]
pub struct Player {
    /// Their number.
    pub id: u64,
    /// What they call themselves.
    pub name: String,
    /// Their points. The higher the level, the more they count.
    pub score: f64,
    /// How far they have come: one level for each ten points.
    pub level: u32,
}

impl Migrate<v1::Player> for Player {
    fn migrate(old: v1::Player) -> Result<Self, MigrateError> {
        let v1::Player { id, name, score } = old;
        let score = f64::from(score);
        Ok(Self { id, name, score, level: level(score) })
    }
}

/// The way back, for a rollback: the level is lost, and so are fractions of points.
impl Migrate<Player> for v1::Player {
    fn migrate(new: Player) -> Result<Self, MigrateError> {
        let Player { id, name, score, .. } = new;
        // What is too large becomes the largest.
        Ok(Self { id, name, score: score.round() as u32 })
    }
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
        Self { id, name: name.to_owned(), score: 0.0, level: level(0.0) }
    }

    /// Adds to their points: half as much again at each level.
    pub fn add(&mut self, points: u32) {
        self.score += f64::from(points) * (1.0 + 0.5 * f64::from(self.level - 1));
        self.level = level(self.score);
    }
}

fn level(score: f64) -> u32 {
    // What is too large becomes the largest but one, so that one more is a number too.
    ((score / 10.0) as u32).min(u32::MAX - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_gets_a_level_and_keeps_the_score_on_the_way_back() {
        let mut old = v1::Player::new(7, "ada");
        old.add(25);
        let mut player = Player::migrate(old).unwrap();
        assert_eq!((player.id, player.name.as_str(), player.score, player.level), (7, "ada", 25.0, 3));
        player.add(3);
        assert_eq!((player.score, player.level), (31.0, 4));
        player.add(1);
        let back = v1::Player::migrate(player).unwrap();
        assert_eq!((back.id, back.name.as_str(), back.score), (7, "ada", 34));
    }

    #[test]
    fn scores_that_are_too_large_go_as_far_as_they_can() {
        let mut player = Player::new(1, "ada");
        for _ in 0..100 {
            player.add(u32::MAX);
        }
        assert_eq!(v1::Player::migrate(player).unwrap().score, u32::MAX);
        let mut old = v1::Player::new(1, "ada");
        old.add(u32::MAX);
        old.add(1);
        assert_eq!(old.score, u32::MAX);
    }

    #[test]
    fn a_world_goes_there_and_back() {
        let old = v1::World::new();
        old.players.insert(1, v1::Player::new(1, "ada"));
        let world = World::migrate(old).unwrap();
        assert_eq!(world.players.read(&1, |player| player.level), Some(1));
        world.players.insert(2, Player::new(2, "grace"));
        let back = v1::World::migrate(world).unwrap();
        assert_eq!(back.players.read(&2, |player| player.name.clone()).as_deref(), Some("grace"));
        assert_eq!(back.players.len(), 2);
    }
}
