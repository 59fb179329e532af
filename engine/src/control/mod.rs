//! The control path: one thread that carries out every swap, and one that unmaps.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mailbox`] | the one way in, for every trigger |
//! | [`asker`] | who asks |
//! | [`audit`] | writes down who has asked for what, and what became of it |
//! | [`authority`] | who must sign what they push |
//! | [`thread`] | carries out what comes in, one command after the other |
//! | [`admission`] | making modules of what is found |
//! | [`events`] | what the host is told of candidates |
//! | [`faults`] | what is wrong in the watched folders |
//! | [`lifecycle`] | the lives of all modules: initialized, started and stopped in their order |
//! | [`intake`] | takes in what is pushed, and looks through the watched folders |
//! | [`transition`] | what a swap does next, as a pure function |
//! | [`module`] | carries out those decisions for one module |
//! | [`sets`] | and for several as one |
//! | [`observer`] | what the host has to say to that |
//! | [`mod@state`] | a module's state, as the host owns it |
//! | [`migration`] | turning a state into one of another shape |
//! | [`sweep`] | what is left of that, on a thread of its own |
//! | [`progress`] | how far that is |
//! | [`pace`] | not to keep callers off their processors meanwhile |
//! | [`capture`] | writing the state down while calls go on |
//! | [`restore`] | beginning with what was written down |
//! | [`trial`] | trying a candidate out, in a process of its own |
//! | [`staged`] | a candidate on its way |
//! | [`library`] | the one place for `dlopen` and `dlclose` |
//! | [`reaper`] | drains and unmaps what has left its slot |
//! | [`reload`] | reads the modules' options again |
//! | [`departure`] | what is left to do for such a version |

mod admission;
mod asker;
mod audit;
mod authority;
mod capture;
mod departure;
mod events;
mod faults;
mod intake;
mod library;
mod lifecycle;
mod mailbox;
mod migration;
mod module;
mod observer;
mod pace;
mod progress;
mod reaper;
mod reload;
mod restore;
mod sets;
mod staged;
mod state;
mod sweep;
mod thread;
mod transition;
mod trial;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use admission::AdmissionError;
pub(crate) use admission::{Opening, Openings};
pub(crate) use asker::Asker;
pub(crate) use audit::Audit;
pub use audit::AuditError;
pub(crate) use authority::Authority;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
pub use events::Event;
pub(crate) use events::Events;
pub(crate) use faults::Faults;
pub use library::LoadError;
pub(crate) use lifecycle::LifecycleSettings;
pub(crate) use mailbox::{Allowed, Candidate, Mailbox, PushRequest, Recovery};
pub use migration::MigrationError;
pub use module::{ConfigureError, PrepareError, YieldError};
pub(crate) use module::{Module, Oversight, Services, Snapshots};
pub(crate) use observer::Observer;
pub use observer::{Moment, SwapStep};
pub(crate) use progress::Progress;
pub(crate) use reaper::{Reaper, RetiredView};
pub use restore::RestoreError;
#[cfg(any(test, liveswap_fuzzing))]
pub(crate) use restore::fuzzing::restored;
pub(crate) use sets::SetMembers;
pub(crate) use thread::{Control, Controlled};
pub(crate) use trial::rehearse;

use crate::call::Bell;
use crate::candidate::private::PrivateFolder;
use crate::config::Config;
use crate::host::hook::Hooks;
use crate::host::output::Outputs;
use crate::rehearsal::Rehearsal;

/// The number of a version: never used twice in a process, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Serial(pub(crate) usize);

impl Serial {
    fn fresh() -> Self {
        static SERIALS: AtomicUsize = AtomicUsize::new(1);
        // Relaxed: all that counts is that no number is given out twice.
        Self(SERIALS.fetch_add(1, Ordering::Relaxed))
    }
}

/// The bounds and places that every module shares.
pub(crate) struct Settings {
    pub(crate) folder: Arc<PrivateFolder>,
    /// Where candidates are looked for.
    pub(crate) watched: Vec<PathBuf>,
    pub(crate) candidate_size_max: u64,
    pub(crate) authority: Authority,
    pub(crate) retained_max: usize,
    /// How many predecessors' files are kept for a rollback.
    pub(crate) kept_max: usize,
    pub(crate) drain_deadline: Duration,
    /// How long a migration or a snapshot may hold calls up at once.
    pub(crate) pause_max: Duration,
    /// For how long they try.
    pub(crate) hand_over_deadline: Duration,
    /// How long a sweep may take before that is said; and how long the next migration waits for it.
    pub(crate) sweep_deadline: Duration,
    /// Runs the hooks that a swap waits for.
    pub(crate) hooks: Hooks,
    /// How often a version that serves is asked to hand over, and when.
    pub(crate) vetoes: Vetoes,
    /// Asked before each step, and told after.
    pub(crate) observer: Observer,
    /// Told what becomes of candidates.
    pub(crate) events: Events,
    /// What is wrong in the watched folders.
    pub(crate) faults: Arc<Faults>,
    /// How candidates are rehearsed, if they are.
    pub(crate) rehearsal: Rehearsal,
    /// Where what versions put out goes.
    pub(crate) output: Arc<Outputs>,
    pub(crate) bell: Arc<Bell>,
    /// What may become a module by itself.
    pub(crate) openings: Openings,
    /// Where the modules' options come from.
    pub(crate) config: Arc<Config>,
    /// Where all that is asked for is written down.
    pub(crate) audit: Audit,
    /// Wakes the control thread to look after what goes on by itself.
    pub(crate) wake: Sender<()>,
    /// Nothing comes out of it: the engine ends when it's disconnected.
    pub(crate) ended: Receiver<Infallible>,
}

/// How often a version that serves is asked to hand over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vetoes {
    /// How many vetoes end a push.
    pub(crate) max: u32,
    /// The wait after the first one. Each wait is twice as long as the one before.
    pub(crate) pause: Duration,
}

impl Settings {
    /// Waits for so long. True if the engine ends meanwhile.
    fn ends_within(&self, time: Duration) -> bool {
        matches!(self.ended.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }
}
