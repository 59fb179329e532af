//! Whatever the library's own items are called, `export!` takes none of them for something else.

use liveswap_logic::Context;

mod api {
    #[liveswap_state::interface]
    pub trait Logic {
        fn total(&self) -> u64;
    }
}

use api::LogicLogic as Export;

struct Entry;

impl liveswap_logic::Logic for Entry {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl Export for Entry {
    fn total(state: &u64, _: &Context) -> u64 {
        *state
    }
}

const SPEC: &str = "logic";
const MANIFEST: &str = "1001";

#[allow(dead_code, non_camel_case_types)]
struct u8;

liveswap_logic::export! {
    module: SPEC,
    version: MANIFEST,
    logic: Entry as Export,
}

fn main() {
    assert_eq!(Entry::total(&7, &Context::new(SPEC, MANIFEST)), 7);
}
