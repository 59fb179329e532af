//! What leads to the code of one interface doesn't lead to that of another, not even in their own module.

use liveswap_state::interface;

#[interface]
pub trait Door {
    fn width(&self) -> u64;
}

#[interface]
pub trait Window {
    fn label(&self) -> String;
}

pub fn confuse<G>(door: DoorProxy<G>) -> WindowProxy<G> {
    WindowProxy { passage: door.passage }
}

fn main() {}
