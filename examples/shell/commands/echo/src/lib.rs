//! `echo`: says what it is told.

use liveswap_logic::{Context, Logic};
use shell_api::{CommandLogic, Outcome};

struct Echo;

impl Logic for Echo {
    type State = ();

    fn create(_: &Context) {}
}

impl CommandLogic for Echo {
    fn about(_: &Context) -> String {
        "says what it is told".to_owned()
    }

    fn run(_: &(), _: &Context, arguments: &[String]) -> Outcome {
        Outcome::done(arguments.join(" "))
    }
}

liveswap_logic::export! {
    module: "echo",
    version: "1",
    logic: Echo as CommandLogic,
}
