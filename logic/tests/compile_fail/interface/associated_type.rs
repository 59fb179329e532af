//! The host would have to know which type this version chose.

#[liveswap_state::interface]
pub trait Game {
    type Score;
    fn score(&self) -> Self::Score;
}

fn main() {}
