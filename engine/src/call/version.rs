//! A version, as a call sees it: its code, the state it works on, and its context.

use std::sync::Arc;

use liveswap_state::{CodePointer, Context};

use super::meter::Meter;
use crate::rehearsal::recorder::Recorder;

/// What the active cell points to. The library that the code is in belongs to the control path; it stays
/// mapped as long as any thread announces this version's serial number.
#[derive(Debug)]
pub(crate) struct Version {
    /// Never used twice in a process, and never [`OUTSIDE`](super::announcement::OUTSIDE).
    pub(crate) serial: usize,
    /// The code of the interface's methods, in the order of the host's interface: as many as that has.
    pub(crate) code: Arc<[CodePointer]>,
    pub(crate) state: StatePointer,
    /// Which generation of the module's state that is.
    pub(crate) generation: usize,
    pub(crate) context: Arc<Context>,
    /// Notes what becomes of calls, if that is wanted.
    pub(crate) meter: Option<Arc<Meter>>,
    /// Keeps some of the calls.
    pub(crate) recorder: Option<Arc<Recorder>>,
}

/// The address of a module's state. What type it has, only logic knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatePointer(pub(crate) *mut ());

// SAFETY: `Logic::State` is `Send` and `Sync`, which the export asserts; the gate keeps exclusive borrows
// apart from all others.
unsafe impl Send for StatePointer {}
// SAFETY: as above.
unsafe impl Sync for StatePointer {}
