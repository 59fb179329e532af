//! Only a literal of one of the two sides can be `'static`, and each side may go.

#[liveswap_state::interface]
pub trait Game {
    fn hello(&self, who: &'static str) -> String;
}

fn main() {}
