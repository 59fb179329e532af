//! Any other name will do.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Door {
    fn set(&mut self, open: bool);
}

struct DoorV1;

impl Logic for DoorV1 {
    type State = bool;

    fn create(_: &Context) -> bool {
        false
    }
}

impl DoorLogic for DoorV1 {
    fn set(door: &mut bool, _: &Context, open: bool) {
        *door = open;
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let mut door = DoorV1::create(&context);
    DoorV1::set(&mut door, &context, true);
    assert!(door);
}
