//! Output: how text that logic puts out reaches the host together with whose it is.
//!
//! A library has its own copy of the standard library, and with it a buffer and a lock of its own for the standard
//! output: lines that several libraries print could mix. So text goes to the host whole, which puts it out in one go.

use crate::Context;

/// The host's end.
#[doc(hidden)]
pub trait OutputSink: Send + Sync {
    /// Takes what the version with this context puts out. It doesn't unwind.
    fn put(&self, context: &Context, text: &str);
}
