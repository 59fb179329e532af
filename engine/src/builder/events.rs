//! Who is told of events.

use super::Builder;
use crate::control::{Event, Events};

impl Builder {
    /// Has a function told what becomes of candidates: seen in a folder, not ready and skipped, reloaded, failed. It's
    /// called on the control thread, so it should return soon: nothing else is swapped meanwhile.
    pub fn on_event(mut self, function: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = Events::new(function);
        self
    }
}
