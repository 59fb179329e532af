//! The state says what to do; logic knows how.

use liveswap_state::State;

#[derive(State)]
enum Action {
    Double,
    Reset,
}

#[derive(State)]
struct Timer {
    seconds: u64,
    then: Action,
}

fn fire(timer: &Timer) -> u64 {
    match timer.then {
        Action::Double => timer.seconds * 2,
        Action::Reset => 0,
    }
}

fn main() {
    assert_eq!(fire(&Timer { seconds: 7, then: Action::Double }), 14);
    assert_eq!(fire(&Timer { seconds: 7, then: Action::Reset }), 0);
}
