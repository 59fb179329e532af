//! A method that only some builds have.

#[liveswap_state::interface]
pub trait Game {
    #[cfg(debug_assertions)]
    fn inspect(&self) -> String;
}

fn main() {}
