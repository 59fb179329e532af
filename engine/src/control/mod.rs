//! The control path: one thread that carries out every swap, and one that unmaps.
//!
//! | module | what it holds |
//! |---|---|
//! | [`mailbox`] | the one way in, for every trigger |
//! | [`thread`] | carries out what comes in, one command after the other |
//! | [`transition`] | what a swap does next, as a pure function |
//! | [`module`] | carries out those decisions for one module |
//! | [`staged`] | a candidate on its way |
//! | [`library`] | the one place for `dlopen` and `dlclose` |
//! | [`reaper`] | drains and unmaps what has left its slot |
//! | [`departure`] | what is left to do for such a version |

mod departure;
mod library;
mod mailbox;
mod module;
mod reaper;
mod staged;
mod thread;
mod transition;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use library::LoadError;
pub(crate) use mailbox::{Candidate, Mailbox, PushRequest};
pub(crate) use module::Module;
pub use module::PrepareError;
pub(crate) use reaper::{Reaper, RetiredView};
pub(crate) use thread::Control;

use crate::call::Bell;
use crate::candidate::accept::PrivateFolder;

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
    pub(crate) retained_max: usize,
    /// How many predecessors' files are kept for a rollback.
    pub(crate) kept_max: usize,
    pub(crate) drain_deadline: Duration,
    pub(crate) bell: Arc<Bell>,
}
