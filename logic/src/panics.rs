//! The library's panic hook: each panic in logic is told to the host, where and when it happens.
//!
//! The standard library's own hook prints to standard error and may symbolize a backtrace; the
//! symbolizer's cache would stay behind with every version. This one symbolizes nothing. It hands message
//! and place to the host, which logs them with a backtrace of its own making, and notes the place for the
//! fence that is about to catch the panic. A panic that no fence will catch is told all the same: one that
//! logic catches by itself, or one on a thread that logic started.
//!
//! Logic may replace the hook by [`std::panic::set_hook`], as any program may. Then it is told instead of
//! the host: nothing is logged, and the error of a call that panicked names an unknown place.

use std::panic;

use liveswap_state::{PanicReport, fence};

use crate::binding::binding;

pub(crate) fn install() {
    // Nothing in here unwinds, the host's function included: a panic in a panic hook aborts the process.
    panic::set_hook(Box::new(|info| {
        if let Some(location) = info.location() {
            fence::record_location(location);
        }
        if let Some(binding) = binding() {
            let report = PanicReport { message: fence::message(info.payload()), location: info.location() };
            (binding.host.panicked)(binding.context, &report);
        }
    }));
}
