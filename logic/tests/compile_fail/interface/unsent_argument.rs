//! The host may make the call on another thread, so what it keeps for that can go there.

use std::marker::PhantomData;

use liveswap_state::{Fingerprint, State, interface};

pub struct Ticket(u64, PhantomData<*const ()>);

// SAFETY: a number in place.
unsafe impl State for Ticket {
    const FINGERPRINT: Fingerprint = Fingerprint::of("Ticket").with_layout::<Self>();
    const NAME: &'static str = "Ticket";
}

#[interface]
pub trait Game {
    fn admit(ticket: Ticket) -> bool;
}

fn main() {}
