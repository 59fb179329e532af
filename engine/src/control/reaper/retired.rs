//! What is known of a version that has left its slot, and what the status shows of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Serial;
use super::super::departure::Departure;
use super::super::library::Remains;
use super::naming::names;
use super::{Stop, deadline_in, sooner};
use crate::call::{CallPath, Footprint, Hold, Holding};
use crate::candidate::VersionNumber;
use crate::host;

/// How many versions that are gone are remembered for the status.
const REMEMBERED_MAX: usize = 8;

/// A version that has left its slot.
pub(super) struct Retired {
    pub(super) serial: Serial,
    pub(super) path: Arc<CallPath>,
    pub(super) version: VersionNumber,
    pub(super) footprint: Arc<Footprint>,
    /// It was in a slot once; a candidate that failed wasn't.
    pub(super) was_published: bool,
    pub(super) state: RetiredState,
    /// When to say that it lasts; none for never.
    pub(super) deadline: Option<Instant>,
    /// The deadline has passed, and that has been said.
    pub(super) overdue: bool,
}

pub(super) enum RetiredState {
    /// Calls may still be inside.
    Draining(Box<Departure>),
    /// Nobody is inside. Threads may still have something of it.
    Leaving(Box<Departure>),
    /// In the reaper's hands this moment.
    Busy,
    /// It can't be unmapped, for this reason; with what is left of it, if that may still go by itself.
    Retained(String, Option<Box<Remains>>),
    /// No segment of it is mapped any more; this is what it had allocated and nobody had freed by then.
    Unmapped { live_bytes: Option<usize> },
    /// It's built into the host: nobody is inside any more, and that is all there was to wait for.
    BuiltIn,
}

impl Retired {
    pub(super) fn new(path: Arc<CallPath>, departure: &Departure, patience: Duration) -> Self {
        Self {
            serial: departure.serial,
            path,
            version: departure.number.clone(),
            footprint: departure.footprint.clone(),
            was_published: false,
            state: RetiredState::Busy,
            deadline: deadline_in(patience),
            overdue: false,
        }
    }

    /// Who holds it: calls first.
    pub(super) fn holders(&self) -> Vec<Holding> {
        let mut holders = self.path.holders(self.serial.0);
        holders.extend(self.footprint.holders());
        holders
    }

    /// The holders' names: what the host calls a holder, or else the thread's name.
    pub(super) fn names(&self) -> String {
        names(&self.holders())
    }

    /// Module, version, and what keeps it in memory.
    pub(super) fn describe(&self) -> String {
        let names = self.names();
        let why = match &self.state {
            RetiredState::Retained(reason, _) => reason.clone(),
            _ if names.is_empty() => "about to be unmapped".to_owned(),
            _ => format!("held by {names}"),
        };
        format!("{} {} ({why})", self.path.module, self.version)
    }

    /// Whether there is no telling how long it stays in memory. What threads owe they mostly settle in a moment:
    /// those that call often.
    pub(super) fn is_kept(&self) -> bool {
        // The swap has given up to wait, so that hook has missed its deadline.
        let lasts = |holder: &Holding| {
            matches!(holder.hold, Hold::Call(_) | Hold::Lease | Hold::Thread | Hold::Awaited(_))
        };
        match self.state {
            RetiredState::Draining(_) | RetiredState::Leaving(_) => self.holders().iter().any(lasts),
            RetiredState::Retained(..) => true,
            RetiredState::Busy | RetiredState::Unmapped { .. } | RetiredState::BuiltIn => false,
        }
    }

    /// Until when the end of the engine waits for it: longer if code of it may be running than if it's only that
    /// threads may come by.
    pub(super) fn is_waited_for(&self, stop: Stop) -> Option<Option<Instant>> {
        match self.state {
            RetiredState::Leaving(_) if !self.footprint.is_empty() && !self.footprint.is_running() => {
                Some(sooner(stop.deadline, Some(stop.grace)))
            }
            RetiredState::Draining(_) | RetiredState::Leaving(_) | RetiredState::Busy => Some(stop.deadline),
            RetiredState::Retained(..) | RetiredState::Unmapped { .. } | RetiredState::BuiltIn => None,
        }
    }

    /// Whether there is nothing left to do for it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, RetiredState::Unmapped { .. } | RetiredState::BuiltIn)
    }

    pub(super) fn view(&self) -> RetiredView {
        let holders = match self.state {
            RetiredState::Unmapped { .. } | RetiredState::BuiltIn => Vec::new(),
            _ => self.holders(),
        };
        let is_left = |holder: &Holding| matches!(holder.hold, Hold::Destructors | Hold::Thread);
        let (state, reason) = match &self.state {
            RetiredState::Leaving(_) if holders.iter().any(is_left) => {
                ("retained", Some(LEFT_ON_THREADS.to_owned()))
            }
            RetiredState::Draining(_) | RetiredState::Leaving(_) | RetiredState::Busy => ("draining", None),
            RetiredState::Retained(reason, _) => ("retained", Some(reason.clone())),
            RetiredState::Unmapped { .. } => ("unmapped", None),
            RetiredState::BuiltIn => ("built-in", None),
        };
        let live_bytes = match self.state {
            RetiredState::Unmapped { live_bytes } => live_bytes,
            _ => host::live_bytes(self.serial.0),
        };
        let (path, version) = (self.path.clone(), self.version.clone());
        RetiredView { path, version, state, holders, reason, live_bytes }
    }
}

/// Why a version stays that nobody is inside of.
const LEFT_ON_THREADS: &str = "threads still hold it: it is unmapped once those that it has started have ended, \
     and each other one has called the engine again, parked or ended";

/// A retired version, for the status.
pub(crate) struct RetiredView {
    /// The module's: another one of its name may have come since.
    pub(crate) path: Arc<CallPath>,
    pub(crate) version: VersionNumber,
    pub(crate) state: &'static str,
    pub(crate) holders: Vec<Holding>,
    pub(crate) reason: Option<String>,
    pub(crate) live_bytes: Option<usize>,
}

/// Forgets versions that are gone: those that never were in a slot, and of the others the oldest.
pub(super) fn forget(retired: &mut Vec<Retired>) {
    let is_gone = Retired::is_over;
    retired.retain(|entry| entry.was_published || !is_gone(entry));
    let mut gone = retired.iter().filter(|entry| is_gone(entry)).count();
    retired.retain(|entry| {
        let forget = is_gone(entry) && gone > REMEMBERED_MAX;
        gone -= usize::from(forget);
        !forget
    });
}
