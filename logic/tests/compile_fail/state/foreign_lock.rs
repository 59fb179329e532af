//! A lock of another crate, which may park its waiters in a static: each library has its own copy of it.

use liveswap_state::State;

/// Stands for a crate that knows nothing of liveswap.
mod foreign {
    pub struct Mutex<T>(T);
}

#[derive(State)]
struct Counter {
    total: foreign::Mutex<u64>,
}

fn main() {}
