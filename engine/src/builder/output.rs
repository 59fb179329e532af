//! Where what logic puts out goes.

use super::Builder;
use crate::host::output::{Output, Outputs};

impl Builder {
    /// Has a function called with what logic puts out ([`Context::output`](liveswap_state::Context::output)), instead
    /// of writing it to the standard output, where each line would begin with the module's name: `[logic] text`.
    ///
    /// It's called on the thread that the logic runs on, on several at once, and in the middle of a call: it should
    /// return soon. What it panics with goes no further.
    pub fn on_output(mut self, function: impl Fn(&Output<'_>) + Send + Sync + 'static) -> Self {
        self.output = Outputs::new(function);
        self
    }
}
