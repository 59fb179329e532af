//! The example of two modules: what can be called.

use liveswap_state::interface;

/// Blocks, one on the other.
#[interface]
pub trait Chain {
    /// The number of the last block.
    fn head(&self) -> u64;
    /// One more block; its number.
    fn add(&mut self) -> u64;
}

/// The way to others.
#[interface]
pub trait Net {
    /// How many others there are.
    fn peers(&self) -> usize;
}
