//! It stays with its interface.

use liveswap_state::interface;

#[interface]
pub trait Door {
    fn width(&self) -> u64;
}

#[interface]
pub trait Window {
    fn label(&self) -> String;
}

pub fn moved<G>(window: WindowProxy<G>) -> WindowProxy<G> {
    WindowProxy { passage: window.passage }
}

fn main() {}
