//! The interface's own way knows the arguments.

use liveswap_state::{Context, SpawnError, interface};

#[interface]
pub trait Game {
    fn greet(name: String);
}

pub fn greet_later(context: &Context, name: u64) -> Result<(), SpawnError> {
    context.spawn::<dyn Game>().greet(name.to_string())
}

fn main() {}
