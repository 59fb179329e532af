//! An enum knows which of its variants it is.

use liveswap_state::State;

#[derive(State)]
enum Number {
    Whole(u64),
    Real(f64),
}

impl Number {
    fn rounded(&self) -> u64 {
        match self {
            Self::Whole(number) => *number,
            Self::Real(number) => number.round() as u64,
        }
    }
}

fn main() {
    assert_eq!(Number::Whole(7).rounded(), Number::Real(6.9).rounded());
}
