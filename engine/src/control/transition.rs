//! What a swap does next, as a pure function: `(Phase, Event) -> (Phase, Action)`.
//!
//! No clock, no file, no thread: whatever happens to a module comes in as an [`Event`], and whatever is to
//! be done about it goes out as an [`Action`]. The control thread carries the actions out and feeds back
//! how they ended. So every order of events can be tried by a test, and the rules stand in one place:
//!
//! - there is never more than one active version, and once there was one, never none until the end;
//! - a failure before publish leaves active and standby exactly as they were;
//! - publish can't fail, so nothing waits for its outcome;
//! - the predecessor stays in the other slot until a commit, the next publish, or a rollback to it.

use super::Serial;

/// Where a version lives. The two take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    A,
    B,
}

impl Slot {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

/// What is in the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    /// The slot of the active version; the standby's is the other.
    pub(crate) slot: Slot,
    pub(crate) active: Option<Serial>,
    pub(crate) standby: Option<Serial>,
}

impl Slots {
    const EMPTY: Self = Self { slot: Slot::B, active: None, standby: None };
}

/// The steps before publish. Each may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Verify,
    /// Try it in a process of its own. Nothing to do if nobody wants that.
    Rehearse,
    Load,
    /// Have the candidate prepare, and test itself.
    Prepare,
    /// Ask the version that serves to hand over.
    Yield,
    /// Try on copies whether the state can become the candidate's. Nothing to do if it is that already.
    Check,
    /// Have the state become the candidate's, between two calls. The same.
    HandOver,
    /// Have the module's first version initialize its state. There is no such step for another.
    Initialize,
}

/// Why a candidate is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A push: its predecessor is kept as the standby.
    Upgrade,
    /// The return to a predecessor that was unmapped already: what it replaces isn't kept.
    Return,
    /// The return to the predecessor in the other slot: only the state has steps to take.
    FallBack,
}

/// Where a module stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No swap is under way.
    Resting(Slots),
    /// A candidate is being taken through the steps; the slots are still as they were.
    Swapping { slots: Slots, candidate: Serial, step: Step, purpose: Purpose },
    /// The engine has stopped.
    Stopped,
}

impl Phase {
    pub(crate) const EMPTY: Self = Self::Resting(Slots::EMPTY);

    pub(crate) fn slots(&self) -> Slots {
        match self {
            Self::Resting(slots) | Self::Swapping { slots, .. } => *slots,
            Self::Stopped => Slots::EMPTY,
        }
    }

    /// The phase's name in logs, status and errors.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Resting(Slots { active: None, .. }) => "empty",
            Self::Resting(Slots { standby: None, .. }) => "serving",
            Self::Resting(_) => "probation",
            Self::Swapping { step: Step::Verify, .. } => "verifying",
            Self::Swapping { step: Step::Rehearse, .. } => "rehearsing",
            Self::Swapping { step: Step::Load, .. } => "loading",
            Self::Swapping { step: Step::Prepare, .. } => "preparing",
            Self::Swapping { step: Step::Yield, .. } => "yielding",
            Self::Swapping { step: Step::Check, .. } => "checking",
            Self::Swapping { step: Step::HandOver, .. } => "handing-over",
            Self::Swapping { step: Step::Initialize, .. } => "initializing",
            Self::Stopped => "stopped",
        }
    }
}

/// What can happen to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A candidate asks to become the active version.
    Push(Serial),
    /// The step under way succeeded.
    Done,
    /// The step under way failed.
    Failed,
    /// The predecessor shall be active again. If it isn't loaded any more, `reloaded` is the number that a
    /// fresh load of it gets; without a kept file there is none.
    Rollback { reloaded: Option<Serial> },
    /// Probation shall end: the standby isn't needed any more.
    Commit,
    /// The engine ends.
    Stop,
}

/// What is to be done. At most four things at once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take a step with the candidate.
    Run(Step),
    /// Make this version the active one.
    Publish(Serial),
    /// Tell this version, which is in a slot, what has become of a hand-over.
    Tell(Serial, Word),
    /// This version has left its slot: drain it, then unmap it.
    Retire(Serial),
    /// The candidate won't become a version: undo what its steps did.
    Discard(Serial),
    /// The event can't be followed now, and nothing has changed.
    Refuse(Refusal),
}

/// What a version is told of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It has happened: the successor serves.
    Yielded,
    /// It was called off, or taken back: this version serves on.
    Resume,
    /// This version serves in the place of another.
    TookOver,
}

/// Why an event can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A swap is under way.
    Busy,
    /// There is no predecessor to return to.
    NoPredecessor,
    /// No version is on probation.
    NothingToCommit,
    /// The engine has stopped.
    Stopped,
    /// No step is under way that could have ended.
    NoSwap,
}

/// The next phase, and what to do on the way.
pub(crate) fn next(phase: Phase, event: Event) -> (Phase, Vec<Action>) {
    use Action::{Publish, Refuse, Retire, Run, Tell};

    match (phase, event) {
        (Phase::Stopped, _) => (phase, vec![Refuse(Refusal::Stopped)]),

        (Phase::Resting(slots), Event::Push(candidate)) => {
            let (step, purpose) = (Step::Verify, Purpose::Upgrade);
            (Phase::Swapping { slots, candidate, step, purpose }, vec![Run(step)])
        }
        (Phase::Resting(slots), Event::Rollback { reloaded }) => match (slots.standby, reloaded) {
            (Some(candidate), _) => {
                let (step, purpose) = (Step::Check, Purpose::FallBack);
                (Phase::Swapping { slots, candidate, step, purpose }, vec![Run(step)])
            }
            (None, Some(candidate)) if slots.active.is_some() => {
                let (step, purpose) = (Step::Verify, Purpose::Return);
                (Phase::Swapping { slots, candidate, step, purpose }, vec![Run(step)])
            }
            _ => (phase, vec![Refuse(Refusal::NoPredecessor)]),
        },
        (Phase::Resting(slots), Event::Commit) => match slots.standby {
            Some(standby) => (Phase::Resting(Slots { standby: None, ..slots }), vec![Retire(standby)]),
            None => (phase, vec![Refuse(Refusal::NothingToCommit)]),
        },
        (Phase::Resting(_), Event::Done | Event::Failed) => (phase, vec![Refuse(Refusal::NoSwap)]),
        (Phase::Resting(slots), Event::Stop) => (Phase::Stopped, retire_all(slots).collect()),

        (Phase::Swapping { slots, candidate, step, purpose }, Event::Done) => {
            let following = match step {
                Step::Verify => Some(Step::Rehearse),
                Step::Rehearse => Some(Step::Load),
                Step::Load => Some(Step::Prepare),
                // A version that is rolled back has no say.
                Step::Prepare if purpose == Purpose::Return => Some(Step::Check),
                Step::Prepare => Some(Step::Yield),
                Step::Yield => Some(Step::Check),
                Step::Check => Some(Step::HandOver),
                Step::HandOver if slots.active.is_none() => Some(Step::Initialize),
                Step::HandOver | Step::Initialize => None,
            };
            if let Some(step) = following {
                return (Phase::Swapping { slots, candidate, step, purpose }, vec![Run(step)]);
            }
            let took_over = slots.active.map(|_| (candidate, Word::TookOver));
            let (standby, retired, told) = match purpose {
                Purpose::Upgrade => {
                    let yielded = slots.active.map(|active| (active, Word::Yielded));
                    (slots.active, slots.standby, [yielded, took_over])
                }
                Purpose::Return => (None, slots.active, [took_over, None]),
                Purpose::FallBack => (None, slots.active, [Some((candidate, Word::Resume)), None]),
            };
            let after = Slots { slot: slots.slot.other(), active: Some(candidate), standby };
            let told = told.into_iter().flatten().map(|(version, word)| Tell(version, word));
            let actions = [Publish(candidate)].into_iter().chain(told).chain(retired.map(Retire)).collect();
            (Phase::Resting(after), actions)
        }
        (Phase::Swapping { slots, candidate, step, purpose }, Event::Failed) => {
            let has_agreed = purpose == Purpose::Upgrade && matches!(step, Step::Check | Step::HandOver);
            let told = slots.active.filter(|_| has_agreed).map(|active| Tell(active, Word::Resume));
            (Phase::Resting(slots), given_up(candidate, purpose).chain(told).collect())
        }
        (Phase::Swapping { slots, candidate, purpose, .. }, Event::Stop) => {
            (Phase::Stopped, given_up(candidate, purpose).chain(retire_all(slots)).collect())
        }
        (Phase::Swapping { .. }, Event::Push(_) | Event::Rollback { .. } | Event::Commit) => {
            (phase, vec![Refuse(Refusal::Busy)])
        }
    }
}

/// A candidate that is in a slot already stays there.
fn given_up(candidate: Serial, purpose: Purpose) -> impl Iterator<Item = Action> {
    (purpose != Purpose::FallBack).then_some(Action::Discard(candidate)).into_iter()
}

fn retire_all(slots: Slots) -> impl Iterator<Item = Action> {
    slots.standby.into_iter().chain(slots.active).map(Action::Retire)
}

#[cfg(test)]
mod tests;
