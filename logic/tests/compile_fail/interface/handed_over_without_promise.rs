//! A fingerprint doesn't show what the arguments are: whoever hands them over answers for them.

use liveswap_state::{Context, Interface, Lane, SpawnError, hand_over, interface};

#[interface]
pub trait Game {
    fn greet(name: String);
}

pub fn greet_later(context: &Context, name: u64) -> Result<(), SpawnError> {
    hand_over(context, Lane::Normal, &<dyn Game>::METHODS[0], (name,))
}

fn main() {}
