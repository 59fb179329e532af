//! Of a variant that is new, all fields are.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub enum Kind {
        Human,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Kind, additive)]
enum Kind {
    Human,
    #[state(new)]
    Dragon {
        #[state(new = 100)]
        fire: u32,
    },
}

fn main() {}
