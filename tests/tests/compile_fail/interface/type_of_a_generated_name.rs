//! A type in a method is the user's own, whatever the host's side calls its types.

use liveswap::Guard;
use liveswap_state::{CallError, State, interface};

#[derive(State)]
pub struct Gate {
    pub open: bool,
}

#[interface]
pub trait Castle {
    fn open(&self, gate: Gate) -> Gate;
}

pub fn confuse<'module>(
    castle: &CastleProxy<Guard<'module>>,
    guard: Guard<'module>,
) -> Result<Gate, CallError> {
    castle.open(guard)
}

fn main() {}
