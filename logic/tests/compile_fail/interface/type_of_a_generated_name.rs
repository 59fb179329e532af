//! A type in a method is the user's own, whatever the host's side calls its types.

use liveswap_state::{CallError, State, interface};

#[derive(State)]
pub struct Gate {
    pub open: bool,
}

#[interface]
pub trait Castle {
    fn open(&self, gate: Gate) -> Gate;
}

pub fn confuse<G: liveswap_state::Gate>(castle: &CastleProxy<G>, guard: G) -> Result<Gate, CallError> {
    castle.open(guard)
}

fn main() {}
