//! A macro sees only the alias; the compiler sees what it stands for.

type Name = &'static str;

#[liveswap_state::interface]
pub trait Game {
    fn hello(&self, who: Name) -> String;
}

fn main() {}
