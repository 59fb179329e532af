//! Which interface a gate leads to can't be seen from it: whoever makes the passage answers for it.

use liveswap_state::{Gate, Interface, Passage, interface};

#[interface]
pub trait Door {
    fn width(&self) -> u64;
}

pub fn enter<G: Gate>(gate: G) -> DoorProxy<G> {
    <dyn Door>::proxy(Passage::new(gate))
}

fn main() {}
