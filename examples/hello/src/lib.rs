//! The smallest module: it says hello.
//!
//! `cargo build` makes `libhello.so`; as `hello.v1.0.0.so` in a host's watched folder it's version 1.0.0 of its module
//! `hello`. A host that calls it has the same interface. Usually that is in a crate that both link.

use liveswap_logic::{Context, Logic};

#[liveswap_state::interface]
pub trait Hello {
    /// What it says.
    fn greeting() -> String;
}

struct HelloWorld;

impl Logic for HelloWorld {
    type State = ();

    fn create(_: &Context) {}
}

impl HelloLogic for HelloWorld {
    fn greeting(_: &Context) -> String {
        "Hello World From Plugin!".to_owned()
    }
}

liveswap_logic::export! {
    module: "hello",
    version: env!("CARGO_PKG_VERSION"),
    logic: HelloWorld as HelloLogic,
}
