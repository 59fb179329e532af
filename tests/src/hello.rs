//! The interface of `examples/hello`, as a host has it. The module has its own copy.

use liveswap_state::interface;

/// What a host may call.
#[interface]
pub trait Hello {
    /// What it says.
    fn greeting() -> String;
}
