//! The host can't keep a promise that the next version may word otherwise.

#[liveswap_state::interface]
pub trait Game {
    unsafe fn score(&self, player: usize) -> u64;
}

fn main() {}
