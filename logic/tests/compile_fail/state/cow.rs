//! A `Cow` may be borrowed from a literal.

use std::borrow::Cow;

use liveswap_state::State;

#[derive(State)]
struct Player {
    name: Cow<'static, str>,
}

fn main() {}
