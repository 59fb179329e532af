//! Logic is given the state under this name.

#[liveswap_state::interface]
pub trait Door {
    fn set(&mut self, state: bool);
}

fn main() {}
