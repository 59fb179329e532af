//! Panics of logic, logged where and when they happen.
//!
//! The library's panic hook calls in here, so the stack is still there for a backtrace. Exactly one event
//! tells of each panic, whoever catches it in the end.

use liveswap_state::{Context, PanicReport};
use tracing::field::display;

use super::{backtrace, hook};
use crate::call;
use crate::tell::tell;

pub(crate) fn panicked(context: &Context, report: &PanicReport<'_>) {
    // The host's subscriber may panic. That must not unwind into the library, which has its own copy of the
    // runtime and is in the middle of its panic hook.
    tell(|| {
        let method = call::method_in(context.serial());
        let (hook, thread) = if method.is_none() { (hook::name(), thread_name()) } else { (None, None) };
        let location = report.location.map(display);
        let backtrace = backtrace::capture().map(display);
        let (module, version, message) = (context.module(), context.version(), report.message);
        tracing::error!(
            module,
            version,
            method,
            hook,
            thread,
            location,
            backtrace,
            "logic panicked: {message}"
        );
    });
}

/// This thread's name, as the kernel has it: cut to 15 bytes, but known for a thread of logic's own too, of
/// which the host's copy of the standard library knows nothing.
fn thread_name() -> Option<String> {
    Some(rustix::thread::name().ok()?.to_string_lossy().into_owned())
}
