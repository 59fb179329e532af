//! What the demo's server may ask of its logic. Both link this crate; neither links the other.

use liveswap_state::interface;

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

    /// Takes that long and returns the version that it ran on. Stateless: it neither waits for other calls
    /// nor keeps them waiting.
    fn slow(milliseconds: u64) -> String;
}
