//! Of an enum only variants can be added.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub enum Kind {
        Human,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Kind, additive, removed(Elf))]
enum Kind {
    Human,
}

fn main() {}
