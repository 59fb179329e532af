//! The methods of another trait have no fingerprints.

pub trait Greeter {
    fn hello(&self) -> String;
}

#[liveswap_state::interface]
pub trait Game: Greeter {
    fn score(&self) -> u64;
}

fn main() {}
