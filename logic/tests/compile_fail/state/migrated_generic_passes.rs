//! One of them came from one.

use liveswap_state::{Migrate, State};

mod v1 {
    #[derive(liveswap_state::State)]
    pub struct Pair<T> {
        pub left: T,
    }
}

#[derive(State)]
#[state(version = 2, from = v1::Pair<u32>, additive)]
struct Pair {
    left: u32,
    #[state(new)]
    right: u32,
}

fn main() {
    let pair = Pair::migrate(v1::Pair { left: 5 }).unwrap();
    assert_eq!((pair.left, pair.right), (5, 0));
    assert_eq!(v1::Pair::migrate(pair).unwrap().left, 5);
}
