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
    Prepare,
    /// Try on copies whether the state can become the candidate's. Nothing to do if it is that already.
    Check,
    /// Have the state become the candidate's, between two calls. The same.
    HandOver,
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
            Self::Swapping { step: Step::Check, .. } => "checking",
            Self::Swapping { step: Step::HandOver, .. } => "handing-over",
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

/// What is to be done. At most three things at once, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take a step with the candidate.
    Run(Step),
    /// Make this version the active one.
    Publish(Serial),
    /// This version has left its slot: drain it, then unmap it.
    Retire(Serial),
    /// The candidate won't become a version: undo what its steps did.
    Discard(Serial),
    /// The event can't be followed now, and nothing has changed.
    Refuse(Refusal),
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
    use Action::{Publish, Refuse, Retire, Run};

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
                Step::Prepare => Some(Step::Check),
                Step::Check => Some(Step::HandOver),
                Step::HandOver => None,
            };
            if let Some(step) = following {
                return (Phase::Swapping { slots, candidate, step, purpose }, vec![Run(step)]);
            }
            let (standby, retired) = match purpose {
                Purpose::Upgrade => (slots.active, slots.standby),
                Purpose::Return | Purpose::FallBack => (None, slots.active),
            };
            let after = Slots { slot: slots.slot.other(), active: Some(candidate), standby };
            let actions = [Publish(candidate)].into_iter().chain(retired.map(Retire)).collect();
            (Phase::Resting(after), actions)
        }
        (Phase::Swapping { slots, candidate, purpose, .. }, Event::Failed) => {
            (Phase::Resting(slots), given_up(candidate, purpose).collect())
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
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Follows the actions as the control thread would, and checks each against what is true of them.
    #[derive(Default)]
    struct World {
        active: Option<Serial>,
        /// Loaded or being loaded, and not retired or discarded.
        resident: BTreeSet<Serial>,
        published: BTreeSet<Serial>,
        gone: BTreeSet<Serial>,
        stopped: bool,
    }

    impl World {
        fn follow(&mut self, before: Phase, after: Phase, event: Event, actions: &[Action]) {
            for action in actions {
                match *action {
                    Action::Run(_) => {
                        let Phase::Swapping { candidate, .. } = after else {
                            panic!("a step without a swap")
                        };
                        assert!(!self.gone.contains(&candidate), "{candidate:?} was given up already");
                        self.resident.insert(candidate);
                    }
                    Action::Publish(serial) => {
                        assert!(self.resident.contains(&serial), "{serial:?} isn't loaded");
                        self.active = Some(serial);
                        self.published.insert(serial);
                    }
                    Action::Retire(serial) => {
                        assert!(self.published.contains(&serial), "only a version that served is drained");
                        assert!(
                            self.stopped || self.active != Some(serial),
                            "the active version was retired"
                        );
                        assert!(self.resident.remove(&serial), "{serial:?} retired twice");
                        self.gone.insert(serial);
                    }
                    Action::Discard(serial) => {
                        assert!(!self.published.contains(&serial), "a version that served was discarded");
                        assert!(self.resident.remove(&serial), "{serial:?} discarded twice");
                        self.gone.insert(serial);
                    }
                    Action::Refuse(_) => {
                        assert_eq!(
                            (before, actions.len()),
                            (after, 1),
                            "{event:?} was refused and changed something"
                        );
                    }
                }
            }
        }

        fn check(&self, phase: Phase) {
            let slots = phase.slots();
            if phase == Phase::Stopped {
                assert!(self.resident.is_empty(), "left behind: {:?}", self.resident);
                return;
            }
            assert_eq!(slots.active, self.active, "what is published is what the slots say");
            assert!(slots.active.is_some() || self.published.is_empty(), "once there was one, never none");
            assert!(slots.active.is_some() || slots.standby.is_none(), "a standby without an active version");
            assert!(slots.active.is_none() || slots.active != slots.standby, "one version in both slots");
            let candidate = match phase {
                Phase::Swapping { candidate, .. } => Some(candidate),
                _ => None,
            };
            let placed: BTreeSet<_> =
                [slots.active, slots.standby, candidate].into_iter().flatten().collect();
            assert_eq!(placed, self.resident, "every loaded version has its place");
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Kind {
        Push,
        Done,
        Failed,
        Rollback,
        Return,
        Commit,
        Stop,
    }

    fn kinds() -> impl Strategy<Value = Vec<Kind>> {
        let kind = prop_oneof![
            6 => Just(Kind::Push),
            20 => Just(Kind::Done),
            3 => Just(Kind::Failed),
            4 => Just(Kind::Rollback),
            3 => Just(Kind::Return),
            3 => Just(Kind::Commit),
            1 => Just(Kind::Stop),
        ];
        proptest::collection::vec(kind, 0..200)
    }

    proptest! {
        #[test]
        fn every_order_of_events_keeps_the_rules(kinds in kinds()) {
            let (mut phase, mut world) = (Phase::EMPTY, World::default());
            for (number, kind) in kinds.into_iter().enumerate() {
                let fresh = Serial(number + 1);
                let event = match kind {
                    Kind::Push => Event::Push(fresh),
                    Kind::Done => Event::Done,
                    Kind::Failed => Event::Failed,
                    Kind::Rollback => Event::Rollback { reloaded: None },
                    Kind::Return => Event::Rollback { reloaded: Some(fresh) },
                    Kind::Commit => Event::Commit,
                    Kind::Stop => Event::Stop,
                };
                world.stopped |= event == Event::Stop;
                let (after, actions) = next(phase, event);
                world.follow(phase, after, event, &actions);
                world.check(after);
                if event == Event::Failed && matches!(phase, Phase::Swapping { .. }) {
                    prop_assert_eq!(phase.slots(), after.slots(), "a failure left a trace");
                }
                phase = after;
            }
        }
    }

    fn run(events: &[Event]) -> (Phase, Vec<Action>) {
        events.iter().fold((Phase::EMPTY, Vec::new()), |(phase, _), event| next(phase, *event))
    }

    const UPGRADE: [Event; 6] = [Event::Done; 6];
    const FALL_BACK: [Event; 3] = [Event::Rollback { reloaded: None }, Event::Done, Event::Done];

    fn pushed(serials: &[usize]) -> Vec<Event> {
        serials.iter().flat_map(|serial| [Event::Push(Serial(*serial))].into_iter().chain(UPGRADE)).collect()
    }

    #[test]
    fn slots_take_turns_and_the_predecessor_stays() {
        let (phase, actions) = run(&pushed(&[1, 2, 3]));
        assert_eq!(actions, [Action::Publish(Serial(3)), Action::Retire(Serial(1))]);
        assert_eq!(phase.slots(), Slots { slot: Slot::A, active: Some(Serial(3)), standby: Some(Serial(2)) });
        assert_eq!(phase.name(), "probation");
    }

    #[test]
    fn a_rollback_publishes_the_predecessor_and_retires_what_failed() {
        let events = [pushed(&[1, 2]), FALL_BACK.to_vec()].concat();
        let (phase, actions) = run(&events);
        assert_eq!(actions, [Action::Publish(Serial(1)), Action::Retire(Serial(2))]);
        assert_eq!(phase.slots(), Slots { slot: Slot::A, active: Some(Serial(1)), standby: None });
    }

    #[test]
    fn a_second_rollback_takes_the_way_through_the_steps() {
        let events = [
            pushed(&[1, 2]),
            vec![Event::Commit, Event::Rollback { reloaded: Some(Serial(9)) }],
            UPGRADE.to_vec(),
        ]
        .concat();
        let (phase, actions) = run(&events);
        assert_eq!(actions, [Action::Publish(Serial(9)), Action::Retire(Serial(2))]);
        assert_eq!(phase.slots().standby, None, "what was rolled back isn't kept");
    }

    #[test]
    fn a_rollback_that_fails_leaves_both_where_they_are() {
        let before = run(&pushed(&[1, 2])).0;
        let events = [Event::Rollback { reloaded: None }, Event::Done, Event::Failed];
        let (phase, actions) = run(&[pushed(&[1, 2]), events.to_vec()].concat());
        assert_eq!((phase, actions), (before, Vec::new()));
    }

    #[test]
    fn a_push_during_a_swap_is_refused() {
        let events = [Event::Push(Serial(1)), Event::Done, Event::Push(Serial(2))];
        assert_eq!(run(&events).1, [Action::Refuse(Refusal::Busy)]);
    }
}
