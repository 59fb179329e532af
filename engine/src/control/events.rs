//! Events: what becomes of candidates, told to the host as it happens.
//!
//! The host gives a function ([`Builder::on_event`](crate::Builder::on_event)), and the control thread calls it. It only
//! tells: what the function does changes nothing about what has happened, and a panic in it is logged.

use std::error::Error;
use std::path::PathBuf;

use crate::candidate::VersionNumber;
use crate::engine::{Published, PushOutcome};
use crate::tell::tell;

/// Something has become of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A file in a watched folder is new or has changed, and is looked at now.
    Seen {
        /// The file.
        path: PathBuf,
    },
    /// Somebody is still writing the file, so it's skipped. It's looked at when it's complete.
    NotReady {
        /// The file.
        path: PathBuf,
    },
    /// A candidate serves now: it's loaded, has passed its self-test, and calls enter it.
    Reloaded {
        /// The module.
        module: String,
        /// The version before; none for the first.
        from: Option<VersionNumber>,
        /// The version that serves.
        to: VersionNumber,
    },
    /// A candidate was refused. What served before serves on. If it was to be pushed as one with others, each of them is
    /// told of.
    Failed {
        /// The candidate's name.
        candidate: String,
        /// The error's [code](crate::PushError::code), or that of the [set's](crate::error::SetPushError::code).
        code: &'static str,
        /// The error's message.
        message: String,
    },
}

/// The host's function.
#[derive(Default)]
pub(crate) struct Events(Option<Box<Function>>);

type Function = dyn Fn(&Event) + Send + Sync;

impl Events {
    pub(crate) fn new(function: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(function)))
    }

    /// Tells what became of a candidate, if that is an event.
    pub(super) fn tell_published(&self, outcome: &PushOutcome) {
        match outcome {
            PushOutcome::Published(Published { module, swap, .. }) => {
                let (module, from, to) = (module.clone(), swap.from.clone(), swap.to.clone());
                self.tell(|| Event::Reloaded { module, from, to });
            }
            PushOutcome::Set(pushed) => pushed.members.iter().for_each(|member| self.tell_published(member)),
            PushOutcome::Unchanged { .. } | PushOutcome::Waiting { .. } => {}
        }
    }

    /// Tells that a candidate was refused.
    pub(super) fn tell_failed(&self, candidate: String, code: &'static str, error: &impl Error) {
        self.tell(|| Event::Failed { candidate, code, message: error.to_string() });
    }

    /// Tells of an event, which is made only if anybody listens.
    pub(super) fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(function) = &self.0 {
            let event = event();
            tell(|| function(&event));
        }
    }
}
