//! A call that takes the state would leave none for the next.

#[liveswap_state::interface]
pub trait Game {
    fn finish(self) -> u64;
}

fn main() {}
