//! A variant that is gone: `additive` has no way for it.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub enum Kind {
        Human,
        Elf,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Kind, additive)]
enum Kind {
    Human,
}

fn main() {}
