//! The library's panic hook.
//!
//! The standard library's own hook prints to standard error and may symbolize a backtrace; the
//! symbolizer's cache would stay behind with every version. This one notes where the panic happened and
//! lets the fence carry message and place to the host. A panic that no fence will catch, on a thread that
//! logic started by itself, is reported as an event.

use std::panic;

use liveswap_state::fence;

use crate::binding::binding;

pub(crate) fn install() {
    panic::set_hook(Box::new(|info| {
        if let Some(location) = info.location() {
            fence::record_location(location);
        }
        let is_fenced = binding().is_some_and(|binding| (binding.host.is_in_logic)());
        if !is_fenced {
            let message = fence::message(info.payload());
            tracing::error!(location = info.location().map(tracing::field::display), "panicked: {message}");
        }
    }));
}
