//! The method is always there; what it can answer is the version's business.

use liveswap_state::Interface;

#[liveswap_state::interface]
pub trait Game {
    fn inspect(&self) -> Result<String, String>;
}

fn main() {
    assert_eq!(<dyn Game as Interface>::METHODS[0].name, "inspect");
}
