//! What the host has to say to each step of a swap: it's asked before, and told after.
//!
//! A host knows what no module does: that a match is being played, that it's Friday. And whoever operates it wants to
//! see a swap go on. So it may give a function that is called around each step, on the control thread.

use std::fmt;

use crate::tell::tell;

/// A step of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SwapStep {
    /// Copying the candidate.
    Accept,
    /// Comparing it with what runs.
    Verify,
    /// Trying it in a process of its own, if that is wanted.
    Rehearse,
    /// Mapping it, and binding it to the host.
    Load,
    /// Its own preparation, and its self-test.
    Prepare,
    /// Asking the version that serves to hand over.
    Yield,
    /// Trying the migration of the state on copies.
    Check,
    /// Having the state become the candidate's. From here on calls wait, if its shape changes, until the candidate is
    /// published.
    HandOver,
    /// Making it the active version.
    Publish,
    /// Ending probation: its predecessor leaves its slot.
    Commit,
}

impl SwapStep {
    /// All of them, in their order.
    pub const ALL: [Self; 10] = [
        Self::Accept,
        Self::Verify,
        Self::Rehearse,
        Self::Load,
        Self::Prepare,
        Self::Yield,
        Self::Check,
        Self::HandOver,
        Self::Publish,
        Self::Commit,
    ];

    /// The step's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Verify => "verify",
            Self::Rehearse => "rehearse",
            Self::Load => "load",
            Self::Prepare => "prepare",
            Self::Yield => "yield",
            Self::Check => "check",
            Self::HandOver => "hand over",
            Self::Publish => "publish",
            Self::Commit => "commit",
        }
    }
}

impl fmt::Display for SwapStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A moment in a swap.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// The module; none before the candidate's manifest was read.
    pub module: Option<String>,
    /// The step.
    pub step: SwapStep,
    /// The step has been taken, and this only tells so. Else it's about to be, and may be refused.
    pub is_done: bool,
}

/// The host's function.
#[derive(Default)]
pub(crate) struct Observer(Option<Box<Function>>);

type Function = dyn Fn(&Moment) -> Result<(), String> + Send + Sync;

impl Observer {
    pub(crate) fn new(function: impl Fn(&Moment) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(function)))
    }

    /// Asks whether a step may be taken. The reason, if not.
    pub(super) fn ask(&self, module: Option<&str>, step: SwapStep) -> Result<(), String> {
        let Some(function) = &self.0 else { return Ok(()) };
        let moment = Moment { module: module.map(str::to_owned), step, is_done: false };
        tell(|| function(&moment)).unwrap_or_else(|| Err("its function panicked".to_owned()))
    }

    /// Says that a step has been taken.
    pub(super) fn told(&self, module: Option<&str>, step: SwapStep) {
        let Some(function) = &self.0 else { return };
        let moment = Moment { module: module.map(str::to_owned), step, is_done: true };
        if let Some(Err(reason)) = tell(|| function(&moment)) {
            tell(|| {
                tracing::warn!(module, reason, "`{step}` was taken already: nothing can be said against it")
            });
        }
    }
}
