//! Each use of a generic method is other code, and a library can't hold the code of all.

#[liveswap_state::interface]
pub trait Game {
    fn count<T>(&self, things: Vec<T>) -> u64;
}

fn main() {}
