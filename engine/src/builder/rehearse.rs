//! How candidates are rehearsed.

use super::Builder;
use crate::rehearsal::Rehearsal;

impl Builder {
    /// How candidates are tried in a process of their own before they are loaded, and that some of the calls are
    /// recorded for that. Without it, a push that [asks](crate::Push::rehearse) for a rehearsal gets one without
    /// recorded calls.
    pub fn rehearse(mut self, rehearsal: Rehearsal) -> Self {
        self.rehearsal = Some(rehearsal);
        self
    }
}
