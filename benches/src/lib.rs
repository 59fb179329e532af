//! The interface that the benchmarks call, as small as a method can be: what is measured is the way there.

use liveswap_state::interface;

/// What the benchmarks call.
#[interface]
pub trait Smallest {
    /// One more, without the state.
    fn next(number: u64) -> u64;
    /// One more, sharing the state.
    fn next_shared(&self, number: u64) -> u64;
    /// One more, with the state alone.
    fn next_alone(&mut self, number: u64) -> u64;
    /// The number of the version that answers.
    fn version() -> u64;
}
