//! Versions are counted from 1, which is also the one of a type that names none.

use liveswap_state::State;

#[derive(State)]
#[state(version = 1)]
struct World {
    total: u64,
}

#[derive(State)]
#[state(version = 2)]
struct NextWorld {
    total: u128,
}

#[derive(State)]
struct Unnumbered {
    total: u64,
}

fn main() {
    assert_eq!((World::SCHEMA, NextWorld::SCHEMA, Unnumbered::SCHEMA), (1, 2, 1));
    assert_eq!(World { total: 3 }.total + Unnumbered { total: 4 }.total, 7);
    assert_eq!(NextWorld { total: 7 }.total, 7);
}
