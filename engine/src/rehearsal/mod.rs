//! Rehearsals: a candidate is tried in a process of its own before any of its code runs here.
//!
//! Verifying a file says nothing of what its code does. A version that crashes, hangs or answers otherwise than its
//! predecessor is found out where that costs nothing: in a child process, with a copy of the state and some of the
//! calls that were made lately.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | what a host sets, and whether a push is rehearsed |
//! | [`recorder`] | some of the calls that are made, as bytes |
//! | [`order`] | what the child is given, and what it says |
//! | [`supervisor`] | starts the child, watches it, and sees to it that nothing of it remains |
//! | [`child`] | the child's own beginning: it gives up what it mustn't have |
//! | [`report`] | how a rehearsal ended |
//!
//! What is done with the two versions inside the child is in [`control::trial`](crate::control), because it is what the
//! control path does with them here; the step of the swap is in `control/module/rehearse.rs`.

pub(crate) mod child;
pub(crate) mod order;
pub(crate) mod recorder;
pub(crate) mod report;
pub(crate) mod supervisor;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub use child::run;
pub use report::{NotCompared, Rehearsed, StateCopy};

use crate::control::Asker;
use crate::probation::LONGEST;

/// The environment variable that is set in the process of a rehearsal. Logic that mustn't do in one what it does in
/// earnest, such as binding a port, can look for it.
pub const VARIABLE: &str = "LIVESWAP_REHEARSAL";

/// How candidates are rehearsed: for [`Builder::rehearse`](crate::Builder::rehearse).
///
/// A rehearsal takes place in a process of its own. It loads the active version and the candidate, gives each a copy of
/// the state, has the candidate test itself, migrates the copy there and back again, and makes on both versions some of
/// the calls that were made lately. A crash, a hang, a state that isn't what it was, or an answer that differs (unless
/// the candidate [says so](liveswap_state::Logic::DIFFERENCES)) refuses the push. This process hasn't loaded anything
/// of the candidate then.
///
/// **The calls are made again.** What they do outside of the state, they do a second time: leave out the methods that
/// may not ([`leave_out`](Self::leave_out)), or have logic look for [`VARIABLE`].
///
/// A method isn't recorded if its arguments or its result hold what has no bytes, or what others may change meanwhile
/// (a lock, an atomic).
#[derive(Clone, Debug)]
pub struct Rehearsal {
    pub(crate) program: Option<PathBuf>,
    pub(crate) deadline: Duration,
    pub(crate) state_bytes_max: u64,
    pub(crate) calls_max: usize,
    pub(crate) record_every: NonZeroU32,
    pub(crate) left_out: Vec<String>,
    pub(crate) memory_max: Option<u64>,
    pub(crate) processor_max: Option<Duration>,
    is_always: bool,
}

impl Default for Rehearsal {
    fn default() -> Self {
        Self::new()
    }
}

impl Rehearsal {
    /// A rehearsal as it is without any setting.
    pub fn new() -> Self {
        Self {
            program: None,
            deadline: Duration::from_secs(30),
            state_bytes_max: 64 * 1024 * 1024,
            calls_max: 256,
            record_every: NonZeroU32::new(64).expect("it isn't zero"),
            left_out: Vec::new(),
            memory_max: None,
            processor_max: None,
            is_always: false,
        }
    }

    /// The program that rehearses. It is started with the arguments `rehearse FOLDER`, and must give that folder to
    /// [`run`] before it does anything else. Unless set, it's the `liveswap` command: the one beside the host's own
    /// program, or else the first in `PATH`.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// How long a rehearsal may take, and each step of it a third of that. 30 seconds, unless set. More than a hundred
    /// years count as that.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(LONGEST);
        self
    }

    /// How many bytes of the state are copied. If it has more, the copy has the state itself, and of each of its large
    /// collections a part; or, if that is too much already, it's a state as a version creates it. 64 MiB, unless set.
    pub fn state_bytes_max(mut self, bytes: u64) -> Self {
        self.state_bytes_max = bytes;
        self
    }

    /// How many calls of each module are kept, those of all methods together. None are recorded with 0. 256, unless
    /// set.
    pub fn calls_max(mut self, calls: usize) -> Self {
        self.calls_max = calls;
        self
    }

    /// Of how many calls of a thread one is recorded, on the average; which one, is left to chance. 64, unless set.
    pub fn record_every(mut self, calls: NonZeroU32) -> Self {
        self.record_every = calls;
        self
    }

    /// A method, of whichever module, whose calls are neither recorded nor made again: because of what they do outside
    /// of the state, or because of what their arguments are.
    pub fn leave_out(mut self, method: impl Into<String>) -> Self {
        self.left_out.push(method.into());
        self
    }

    /// How much address space the process may have, in bytes. As much as it wants, unless set.
    pub fn memory_max(mut self, bytes: u64) -> Self {
        self.memory_max = Some(bytes);
        self
    }

    /// How long all threads of the process may use processors together; counted in whole seconds. For as long as they
    /// want, unless set.
    pub fn processor_max(mut self, time: Duration) -> Self {
        self.processor_max = Some(time);
        self
    }

    /// Rehearses every push that doesn't [say otherwise](crate::Push::rehearse), over whichever road it comes. Without
    /// it, only a push that asks for it is rehearsed, or that comes over the network.
    pub fn always(mut self) -> Self {
        self.is_always = true;
        self
    }

    /// Whether a push is rehearsed that doesn't say.
    pub(crate) fn is_default_for(&self, asker: &Asker) -> bool {
        match asker {
            // The owner's own roads.
            Asker::Host | Asker::Folder(_) | Asker::Socket { .. } | Asker::Engine { .. } => self.is_always,
            Asker::Network { .. } => true,
        }
    }
}
