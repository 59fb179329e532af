//! An index finds its target anew each time.

use liveswap_state::State;

#[derive(State)]
struct Cursor {
    place: usize,
}

fn main() {
    let (text, cursor) = (b"test", Cursor { place: 2 });
    assert_eq!(text[cursor.place], b's');
}
