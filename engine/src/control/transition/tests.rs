//! Every order of events, against the rules; and the orders that there are names for.

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
    /// Who has agreed to a hand-over, and hasn't heard what has become of it.
    agreed: Option<Serial>,
    stopped: bool,
}

impl World {
    fn follow(&mut self, before: Phase, after: Phase, event: Event, actions: &[Action]) {
        for action in actions {
            match *action {
                Action::Run(_) => {
                    let Phase::Swapping { candidate, .. } = after else { panic!("a step without a swap") };
                    assert!(!self.gone.contains(&candidate), "{candidate:?} was given up already");
                    self.resident.insert(candidate);
                }
                Action::Publish(serial) => {
                    assert!(self.resident.contains(&serial), "{serial:?} isn't loaded");
                    self.active = Some(serial);
                    self.published.insert(serial);
                }
                Action::Tell(serial, word) => {
                    let slots = after.slots();
                    let serves_on = slots.active == Some(serial);
                    assert!(serves_on || slots.standby == Some(serial), "{serial:?} is in no slot");
                    assert_eq!(serves_on, word != Word::Yielded, "{serial:?} was told what isn't so");
                    if self.agreed == Some(serial) {
                        self.agreed = None;
                    }
                }
                Action::Retire(serial) => {
                    assert!(self.published.contains(&serial), "only a version that served is drained");
                    assert!(self.stopped || self.active != Some(serial), "the active version was retired");
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

    /// What must hold of one step, beside what must hold before and after it.
    fn compare(&mut self, before: Phase, after: Phase, event: Event) {
        if let Phase::Swapping { slots, step: Step::Yield, .. } = before
            && event == Event::Done
        {
            self.agreed = slots.active;
        }
        if let (Phase::Resting(_) | Phase::Stopped, Some(agreed)) = (after, self.agreed) {
            assert!(
                self.gone.contains(&agreed),
                "{agreed:?} has agreed, and isn't told what has become of that"
            );
            self.agreed = None;
        }
        let (was, is) = (before.slots(), after.slots());
        let may_end = matches!(event, Event::Commit | Event::Stop) || is.active != was.active;
        assert!(may_end || was.standby == is.standby, "a predecessor was lost by {event:?}");
        if let (Some(standby), true) = (was.standby, is.active != was.active && after != Phase::Stopped) {
            let has_place = is.active == Some(standby) || self.gone.contains(&standby);
            assert!(has_place, "{standby:?} was neither taken back nor retired");
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
        let placed: BTreeSet<_> = [slots.active, slots.standby, candidate].into_iter().flatten().collect();
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
            world.compare(phase, after, event);
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

const UPGRADE: [Event; 7] = [Event::Done; 7];
/// The way of a version that is loaded again: nobody is asked.
const RETURN: [Event; 6] = [Event::Done; 6];
const FALL_BACK: [Event; 3] = [Event::Rollback { reloaded: None }, Event::Done, Event::Done];

/// The first version has a step more.
fn pushed(serials: &[usize]) -> Vec<Event> {
    let pushes = serials.iter().enumerate().map(|(place, serial)| {
        let initialized = (place == 0).then_some(Event::Done);
        [Event::Push(Serial(*serial))].into_iter().chain(UPGRADE).chain(initialized)
    });
    pushes.flatten().collect()
}

#[test]
fn slots_take_turns_and_the_predecessor_stays() {
    let (phase, actions) = run(&pushed(&[1, 2, 3]));
    let (told, took_over) = (Action::Tell(Serial(2), Word::Yielded), Action::Tell(Serial(3), Word::TookOver));
    assert_eq!(actions, [Action::Publish(Serial(3)), told, took_over, Action::Retire(Serial(1))]);
    assert_eq!(phase.slots(), Slots { slot: Slot::A, active: Some(Serial(3)), standby: Some(Serial(2)) });
    assert_eq!(phase.name(), "probation");
}

#[test]
fn a_rollback_publishes_the_predecessor_and_retires_what_failed() {
    let events = [pushed(&[1, 2]), FALL_BACK.to_vec()].concat();
    let (phase, actions) = run(&events);
    let told = Action::Tell(Serial(1), Word::Resume);
    assert_eq!(actions, [Action::Publish(Serial(1)), told, Action::Retire(Serial(2))]);
    assert_eq!(phase.slots(), Slots { slot: Slot::A, active: Some(Serial(1)), standby: None });
}

#[test]
fn a_second_rollback_takes_the_way_through_the_steps() {
    let events = [
        pushed(&[1, 2]),
        vec![Event::Commit, Event::Rollback { reloaded: Some(Serial(9)) }],
        RETURN.to_vec(),
    ]
    .concat();
    let (phase, actions) = run(&events);
    let told = Action::Tell(Serial(9), Word::TookOver);
    assert_eq!(actions, [Action::Publish(Serial(9)), told, Action::Retire(Serial(2))]);
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
fn only_the_first_version_initializes_and_last_of_all() {
    let events = |number: &[usize]| [pushed(number), vec![Event::Push(Serial(9))], UPGRADE.to_vec()].concat();
    assert_eq!(run(&events(&[])).1, [Action::Run(Step::Initialize)]);
    assert_eq!(run(&events(&[1])).1[0], Action::Publish(Serial(9)));
}

#[test]
fn a_push_during_a_swap_is_refused() {
    let events = [Event::Push(Serial(1)), Event::Done, Event::Push(Serial(2))];
    assert_eq!(run(&events).1, [Action::Refuse(Refusal::Busy)]);
}
