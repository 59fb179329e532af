//! A trait object points to a table of functions in the library that made it.

use liveswap_state::State;

trait Shape {
    fn area(&self) -> u64;
}

#[derive(State)]
struct Drawing {
    shapes: Vec<Box<dyn Shape>>,
}

fn main() {}
