//! A function of the host's would be kept by logic, or the other way round.

#[liveswap_state::interface]
pub trait Game {
    fn each(&self, visit: fn(u64));
}

fn main() {}
