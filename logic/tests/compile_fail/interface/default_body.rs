//! Code in the interface would be in the host too, and never be upgraded.

#[liveswap_state::interface]
pub trait Game {
    fn rules(&self) -> String {
        "none".to_owned()
    }
}

fn main() {}
