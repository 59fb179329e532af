//! What is borrowed for a call isn't there any more when the host makes it later.

use liveswap_state::{Context, SpawnError, interface};

#[interface]
pub trait Game {
    fn greet(name: &str);
}

pub fn greet_later(context: &Context, name: &str) -> Result<(), SpawnError> {
    context.spawn::<dyn Game>().greet(name)
}

fn main() {}
