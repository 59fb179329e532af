//! A message may be kept longer than the library that made it, so it is checked as state is.

pub struct Score {
    pub points: u64,
}

#[liveswap_state::interface]
pub trait Game {
    fn best(&self) -> Option<Score>;
}

fn main() {}
