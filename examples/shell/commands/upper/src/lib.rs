//! `upper`: says it louder.

use liveswap_logic::{Context, Logic};
use shell_api::{CommandLogic, Outcome};

struct Upper;

impl Logic for Upper {
    type State = ();

    fn create(_: &Context) {}
}

impl CommandLogic for Upper {
    fn about(_: &Context) -> String {
        "says it louder".to_owned()
    }

    fn run(_: &(), _: &Context, arguments: &[String]) -> Outcome {
        Outcome::done(arguments.join(" ").to_uppercase())
    }
}

liveswap_logic::export! {
    module: "upper",
    version: "1",
    logic: Upper as CommandLogic,
}
