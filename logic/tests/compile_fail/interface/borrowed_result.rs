//! The host would hold a part of the state while the next version changes it.

#[liveswap_state::interface]
pub trait Game {
    fn topic(&self) -> &str;
}

fn main() {}
