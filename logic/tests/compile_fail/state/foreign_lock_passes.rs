//! The standard library's lock waits in the kernel, on an address inside the lock itself.

use std::sync::Mutex;

use liveswap_state::State;

#[derive(State)]
struct Counter {
    total: Mutex<u64>,
}

fn main() {
    let counter = Counter { total: Mutex::new(6) };
    *counter.total.lock().unwrap() += 1;
    assert_eq!(counter.total.into_inner().unwrap(), 7);
}
