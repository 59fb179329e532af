//! A macro sees only the alias; the compiler sees what it stands for.

use liveswap_state::State;

type Name = &'static str;

#[derive(State)]
struct Player {
    name: Name,
}

fn main() {}
