//! An enum of the shapes, and a match where a method would be looked up.

use liveswap_state::State;

#[derive(State)]
enum Shape {
    Square { side: u64 },
    Rectangle { width: u64, height: u64 },
}

impl Shape {
    fn area(&self) -> u64 {
        match self {
            Self::Square { side } => side * side,
            Self::Rectangle { width, height } => width * height,
        }
    }
}

#[derive(State)]
struct Drawing {
    shapes: Vec<Shape>,
}

fn main() {
    let drawing =
        Drawing { shapes: vec![Shape::Square { side: 2 }, Shape::Rectangle { width: 2, height: 3 }] };
    assert_eq!(drawing.shapes.iter().map(Shape::area).sum::<u64>(), 10);
}
