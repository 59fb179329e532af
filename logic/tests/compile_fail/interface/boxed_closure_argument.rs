//! A closure is code of whoever wrote it.

#[liveswap_state::interface]
pub trait Game {
    fn later(&mut self, action: Box<dyn FnOnce() + Send>);
}

fn main() {}
