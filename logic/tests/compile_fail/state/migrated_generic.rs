//! A type with parameters is many types, which came from as many.

use liveswap_state::State;

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct Pair<T> {
        pub left: T,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Pair<T>, additive)]
struct Pair<T> {
    left: T,
    #[state(new)]
    right: T,
}

fn main() {}
