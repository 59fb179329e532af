//! `divide`: divides two numbers. What aren't numbers it says no to. A division by zero it hasn't thought of: that is a
//! panic, and the shell says that it could not be run.

use liveswap_logic::{Constant, Context, Logic};
use shell_api::{CommandLogic, Outcome};

/// The status for what aren't two numbers.
const NOT_NUMBERS: i32 = 2;

struct Divide;

impl Logic for Divide {
    type State = ();

    const CONSTANTS: &'static [Constant] = &[
        Constant::signed("NOT_NUMBERS", NOT_NUMBERS as i64),
        Constant::text("EXPECTED", "expected two numbers"),
    ];

    fn create(_: &Context) {}
}

impl CommandLogic for Divide {
    fn about(_: &Context) -> String {
        "divides two numbers".to_owned()
    }

    fn run(_: &(), _: &Context, arguments: &[String]) -> Outcome {
        let numbers: Result<Vec<i64>, _> = arguments.iter().map(|argument| argument.parse()).collect();
        match numbers.as_deref() {
            Ok([dividend, divisor]) => Outcome::done((dividend / divisor).to_string()),
            _ => Outcome::refused(NOT_NUMBERS, "expected two numbers"),
        }
    }
}

liveswap_logic::export! {
    module: "divide",
    version: "1",
    logic: Divide as CommandLogic,
}
