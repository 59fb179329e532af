//! What is owned can wait.

use liveswap_state::{Context, SpawnError, interface};

#[interface]
pub trait Game {
    fn greet(name: String);
}

pub fn greet_later(context: &Context, name: &str) -> Result<(), SpawnError> {
    context.spawn::<dyn Game>().greet(name.to_owned())
}

fn main() {
    let spawned = greet_later(&Context::new("logic", "1001"), "ada");
    assert_eq!(spawned, Err(SpawnError::NoHost { method: "greet".to_owned() }));
}
