//! Which type it is would be known only where the call is written.

#[liveswap_state::interface]
pub trait Game {
    fn hello(&self, who: impl Into<String>) -> String;
}

fn main() {}
