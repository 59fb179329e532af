//! One call of one function of a library in C.
//!
//! The library gets the address of a [`Call`], and hands it back with whatever it asks of the host until it returns. How
//! it may use the state, the call says: so a function that shares the state can't change it by way of the host, whatever
//! it asks for.

use std::ffi::c_int;
use std::panic;

use liveswap_state::{Context, PanicReport};

use super::abi::{self, Logic};
use super::blocks::Blocks;
use crate::host::panicked;

/// What a call may do with the state.
pub(super) enum Access<'call> {
    /// It has none.
    Without,
    Shared(&'call Blocks),
    Alone(&'call mut Blocks),
}

/// `liveswap_call`
pub(super) struct Call<'call> {
    pub(super) access: Access<'call>,
    /// What it has answered so far.
    pub(super) answer: Vec<u8>,
}

impl Call<'_> {
    pub(super) fn blocks(&self) -> Option<&Blocks> {
        match &self.access {
            Access::Without => None,
            Access::Shared(blocks) => Some(blocks),
            Access::Alone(blocks) => Some(blocks),
        }
    }

    pub(super) fn blocks_mut(&mut self) -> Option<&mut Blocks> {
        match &mut self.access {
            Access::Alone(blocks) => Some(blocks),
            Access::Without | Access::Shared(_) => None,
        }
    }
}

/// A library's functions, kept with its context.
pub(super) struct Loaded {
    pub(super) logic: Logic,
    /// The schema of its state, and the oldest that it can make one of.
    pub(super) schema: u32,
}

impl Loaded {
    /// The functions of the library that has this context.
    pub(super) fn of(context: &Context) -> &Self {
        let foreign = context.foreign().get().and_then(|foreign| foreign.downcast_ref());
        foreign.expect("`connect` has put it there, before it gave out a function that asks for it")
    }
}

/// Makes a call. What it has answered; on an error its reason, as text.
///
/// One that says that it threw goes on as a panic here: the fence around this makes of it what it makes of any.
pub(super) fn make(
    context: &Context,
    access: Access<'_>,
    function: impl FnOnce(*mut Call<'_>) -> c_int,
) -> Result<Vec<u8>, String> {
    let mut call = Call { access, answer: Vec::new() };
    let status = function(&raw mut call);
    let answer = call.answer;
    if status == abi::OK {
        return Ok(answer);
    }
    let message = String::from_utf8_lossy(&answer).into_owned();
    if status != abi::THREW {
        return Err(message);
    }
    panicked(context, &PanicReport { message: &message, location: None });
    // Without the host's panic hook, which would take it for a panic of the host's.
    panic::resume_unwind(Box::new(message))
}
