//! The promise is made with `unsafe`.

use liveswap_state::{Gate, Interface, Passage, interface};

#[interface]
pub trait Door {
    fn width(&self) -> u64;
}

/// # Safety
///
/// `gate` leads to the code of `Door`.
pub unsafe fn enter<G: Gate>(gate: G) -> DoorProxy<G> {
    // SAFETY: the caller promises it.
    <dyn Door>::proxy(unsafe { Passage::new(gate) })
}

fn main() {}
