//! A literal of logic is gone when logic is unmapped, in whatever it's wrapped.

#[liveswap_state::interface]
pub trait Game {
    fn leader(&self) -> Option<&'static str>;
}

fn main() {}
