//! What is inside is another type, whose fingerprint would have to be known first.

use liveswap_state::State;

#[derive(State)]
struct Tree<T> {
    value: T,
    children: Vec<Tree<u8>>,
}

fn main() {}
