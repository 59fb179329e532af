//! What the demo's server may ask of its logic. Both link this crate; neither links the other.

use liveswap_state::{State, interface};

/// Some players, for people to read.
#[derive(Debug, PartialEq, Eq, State)]
pub struct Players {
    /// How the first ones stand, by their numbers.
    pub first: Vec<String>,
    /// How many there are.
    pub count: u64,
}

/// The game, as its server sees it.
///
/// A method's receiver says what it does to the world, and so which calls may run beside it.
#[interface]
pub trait Game {
    /// Greets `who`, says which version answers and which one did the time before, and has the world
    /// remember this one. Exclusive: no other call sees the world half way between the two.
    fn hello(&mut self, who: &str) -> String;

    /// Adds to the total and returns it. Shared: any number of hits run at the same time.
    fn hit(&self, count: u64) -> u64;

    /// The total of all hits.
    fn total(&self) -> u64;

    /// Has somebody of this name join, so many times, and returns the number of the last. Shared, as all that is done
    /// with players: each is found and changed by itself.
    fn join(&self, name: &str, times: u64) -> u64;

    /// Adds to a player's points, and says how they stand then; nothing if there is no such player.
    fn score(&self, player: u64, points: u32) -> Option<String>;

    /// How each of the first players stands, and how many there are.
    fn players(&self) -> Players;

    /// Takes that long and returns the version that it ran on. Stateless: it neither waits for other calls
    /// nor keeps them waiting.
    fn slow(milliseconds: u64) -> String;
}
