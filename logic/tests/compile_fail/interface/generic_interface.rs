//! Nobody chooses the type when a library is found in a folder.

#[liveswap_state::interface]
pub trait Game<Score> {
    fn score(&self) -> Score;
}

fn main() {}
