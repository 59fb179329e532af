use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use liveswap_state::{Access, CallError, CodePointer, Context, Fingerprint, Gate as _, MethodSpec};
use proptest::prelude::*;

use super::super::suspicion::SuspectPolicy;
use super::super::{CallPath, FIRST_GENERATION, Footprint, Guard, HandOver, StatePointer, owed};
use super::*;

const METHODS: &[MethodSpec] =
    &[MethodSpec { name: "look", access: Access::Stateless, fingerprint: Fingerprint::of("look") }];

const MEMBERS: usize = 3;

/// A version whose code isn't called. It calls itself by its number.
fn version(number: usize, place: usize, generation: usize) -> Arc<Version> {
    Arc::new(Version {
        serial: serial(number, place),
        code: vec![CodePointer(std::ptr::null()); METHODS.len()].into(),
        state: StatePointer(std::ptr::null_mut()),
        generation,
        context: Arc::new(Context::new("member", number.to_string())),
        meter: None,
        recorder: None,
    })
}

fn serial(number: usize, place: usize) -> usize {
    1 + number * MEMBERS + place
}

/// A set of three, without a version yet.
fn set() -> (Arc<Set>, Vec<Arc<CallPath>>) {
    let bell = Arc::new(Bell::new());
    let set = Arc::new(Set::new("all".into(), bell.clone()));
    let members = (0..MEMBERS).map(|place| {
        let path = CallPath::new(format!("member{place}"), METHODS, bell.clone(), SuspectPolicy::Continue);
        Arc::new(path.of_set(set.join()))
    });
    (set.clone(), members.collect())
}

/// The same with a first version of each.
fn serving() -> (Arc<Set>, Vec<Arc<CallPath>>) {
    let (set, members) = set();
    publish_all(&set, &members, 1);
    (set, members)
}

fn publish(members: &[Arc<CallPath>], place: usize, number: usize) {
    members[place].publish(version(number, place, FIRST_GENERATION));
}

fn publish_all(set: &Arc<Set>, members: &[Arc<CallPath>], number: usize) {
    let _held = set.hold();
    (0..members.len()).for_each(|place| publish(members, place, number));
}

/// The number of the version that the guard is in.
fn number(guard: &Guard<'_>) -> usize {
    let call = |_: CodePointer, _: *mut (), context: &Context| Ok(context.version().to_owned());
    // SAFETY: the interface is `METHODS`, and nothing here is code of logic.
    let version: Result<String, CallError> = unsafe { guard.pass(0, Access::Stateless, call) };
    version.unwrap().parse().unwrap()
}

fn enter(path: &Arc<CallPath>) -> Guard<'_> {
    Guard::enter(path).unwrap()
}

fn is_without_version(path: &Arc<CallPath>) -> bool {
    matches!(Guard::enter(path).map_err(|error| *error), Err(CallError::NoActiveVersion { .. }))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Another thread, which does what it's told, one thing after the other.
struct Other {
    tasks: mpsc::Sender<()>,
    done: mpsc::Receiver<usize>,
    thread: JoinHandle<()>,
}

impl Other {
    /// Is inside one member until it's told to go on to another; says what it finds; and then leaves.
    fn hops(path: &Arc<CallPath>, to: &Arc<CallPath>) -> Self {
        let ((tasks, told), (tell, done)) = (mpsc::channel::<()>(), mpsc::channel());
        let (path, to) = (path.clone(), to.clone());
        let thread = thread::spawn(move || {
            let guard = enter(&path);
            tell.send(number(&guard)).unwrap();
            told.recv().unwrap();
            tell.send(number(&enter(&to))).unwrap();
            told.recv().unwrap();
        });
        let other = Self { tasks, done, thread };
        other.done.recv().unwrap();
        other
    }

    fn goes_on(&self) -> usize {
        self.tasks.send(()).unwrap();
        self.done.recv().unwrap()
    }

    fn leaves(self) {
        self.tasks.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[test]
fn who_is_in_one_member_finds_the_others_as_they_were_when_it_came() {
    let (set, members) = serving();
    let first = enter(&members[0]);
    publish_all(&set, &members, 2);
    publish(&members, 2, 3);
    let (second, third) = (enter(&members[1]), enter(&members[2]));
    assert_eq!([number(&first), number(&second), number(&third)], [1, 1, 1]);
    drop((first, second, third));
    assert_eq!([0, 1, 2].map(|place| number(&enter(&members[place]))), [2, 2, 3]);
}

#[test]
fn a_pin_lasts_until_the_last_member_is_left_in_whatever_order() {
    let (set, members) = serving();
    let first = enter(&members[0]);
    let again = enter(&members[0]);
    let second = enter(&members[1]);
    publish_all(&set, &members, 2);
    drop(first);
    drop(again);
    assert!(members[0].is_inside(serial(1, 0)), "it may be entered again");
    assert_eq!(number(&enter(&members[0])), 1);
    let third = enter(&members[2]);
    drop(second);
    assert_eq!(number(&enter(&members[1])), 1);
    drop(third);
    assert_eq!(number(&enter(&members[2])), 2);
    assert!((0..MEMBERS).all(|place| !members[place].is_inside(serial(1, place))));
}

#[test]
fn a_version_is_held_by_name_by_who_is_in_another_member() {
    let (set, members) = serving();
    let other = Other::hops(&members[1], &members[2]);
    publish_all(&set, &members, 2);
    let held = members[0].holders(serial(1, 0));
    assert_eq!(held.len(), 1);
    let inside = members[1].holders(serial(1, 1));
    assert_eq!(inside.len(), 1, "once, though it's pinned and inside");
    assert_eq!(held[0].thread_id, inside[0].thread_id);
    assert!(members[0].is_inside(serial(1, 0)));
    assert!(!members[0].is_inside(serial(2, 0)), "nobody has come since");
    let rings = set.participants.bell.rings();
    assert_eq!(other.goes_on(), 1);
    other.leaves();
    assert!(set.participants.bell.rings() > rings, "who waits is woken");
    assert!(!members[0].is_inside(serial(1, 0)));
}

#[test]
fn what_is_held_back_comes_as_one_generation() {
    let (set, members) = serving();
    let held = set.hold();
    publish(&members, 0, 2);
    publish(&members, 1, 2);
    assert_eq!([0, 1].map(|place| number(&enter(&members[place]))), [1, 1]);
    assert!(members[0].is_inside(serial(1, 0)), "nobody is inside, but anybody may enter it");
    let rings = set.participants.bell.rings();
    drop(held);
    assert!(set.participants.bell.rings() > rings, "who waits is woken");
    assert!(!members[0].is_inside(serial(1, 0)));
    assert_eq!([0, 1, 2].map(|place| number(&enter(&members[place]))), [2, 2, 1]);
}

#[test]
fn a_member_without_a_version_turns_away_and_pins_nobody() {
    let (_set, members) = set();
    publish(&members, 0, 1);
    assert!(is_without_version(&members[1]));
    let first = enter(&members[0]);
    publish(&members, 1, 2);
    assert!(is_without_version(&members[1]), "it had none when this unit of work began");
    drop(first);
    assert_eq!(number(&enter(&members[1])), 2);
    members[1].stop();
    assert!(is_without_version(&members[1]));
    assert_eq!(number(&enter(&members[0])), 1);
    members[0].stop();
    assert!(is_without_version(&members[0]));
}

#[test]
fn a_hand_over_waits_for_who_is_in_another_member_and_is_missed_or_not() {
    let (_set, members) = serving();
    let from = version(1, 0, FIRST_GENERATION);
    let other = Other::hops(&members[1], &members[0]);
    let in_the_way = HandOver::begin(&members[0], &from, soon()).err().unwrap();
    assert_eq!(in_the_way.len(), 1);
    assert_eq!([0, 1].map(|place| number(&enter(&members[place]))), [1, 1], "all is as before");
    assert_eq!(other.goes_on(), 1);
    other.leaves();
    let hand_over =
        HandOver::begin(&members[0], &from, in_time()).unwrap_or_else(|_| panic!("nobody is inside"));
    assert!(is_without_version(&members[2]), "this thread would wait for itself");
    let caller = thread::spawn({
        let path = members[2].clone();
        move || number(&enter(&path))
    });
    hand_over.publish(version(2, 0, FIRST_GENERATION + 1));
    assert_eq!(caller.join().unwrap(), 1);
    assert_eq!([0, 1, 2].map(|place| number(&enter(&members[place]))), [2, 1, 1]);
}

#[test]
fn the_states_of_several_members_are_handed_over_behind_one_door() {
    let (set, members) = serving();
    let begin = |place: usize| {
        let from = version(1, place, FIRST_GENERATION);
        HandOver::begin(&members[place], &from, in_time()).unwrap_or_else(|_| panic!("nobody is inside"))
    };
    let held = set.hold();
    let (first, second) = (begin(0), begin(1));
    first.publish(version(2, 0, FIRST_GENERATION + 1));
    second.publish(version(2, 1, FIRST_GENERATION + 1));
    assert!(is_without_version(&members[0]), "not yet");
    drop(held);
    assert_eq!([0, 1, 2].map(|place| number(&enter(&members[place]))), [2, 2, 1]);
}

#[test]
fn what_a_pinned_thread_owes_is_settled_once_it_is_free() {
    unsafe extern "C" fn count(run: *mut c_void) {
        // SAFETY: it's the test's count, which lives for longer.
        unsafe { &*run.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
    }

    let (set, members) = serving();
    let (first, second) = (enter(&members[0]), enter(&members[1]));
    let run = AtomicUsize::new(0);
    let footprint = Footprint::new(serial(1, 0), set.participants.bell.clone());
    // SAFETY: the destructor only counts.
    unsafe { owed::record(&footprint, count, std::ptr::from_ref(&run).cast_mut().cast()) };
    publish_all(&set, &members, 2);
    footprint.retire();
    // It has no block of thread-locals that could be made new, so it's settled once it has drained.
    footprint.drain();
    drop(first);
    owed::settle_all();
    let first = enter(&members[0]);
    drop(second);
    assert_eq!((number(&first), run.load(Ordering::Relaxed)), (1, 0), "the thread is in that version");
    drop(first);
    assert_eq!(run.load(Ordering::Relaxed), 1);
    assert!(footprint.is_empty());
}

#[test]
fn generations_that_nobody_is_pinned_to_are_forgotten() {
    let (set, members) = serving();
    let other = Other::hops(&members[1], &members[2]);
    for number in 2..100 {
        publish_all(&set, &members, number);
    }
    assert_eq!(lock(&set.changes).living.len(), 2, "the published one, and the other thread's");
    other.goes_on();
    other.leaves();
    publish_all(&set, &members, 100);
    assert_eq!(lock(&set.changes).living.len(), 1);
}

/// What can be done on one thread.
#[derive(Clone, Debug)]
enum Deed {
    Enter(usize),
    /// Of the guards at hand, by their number modulo how many there are.
    Leave(usize),
    Publish(usize),
    PublishAll,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..MEMBERS).prop_map(Deed::Enter),
        4 => any::<usize>().prop_map(Deed::Leave),
        1 => (0..MEMBERS).prop_map(Deed::Publish),
        1 => Just(Deed::PublishAll),
    ]
}

proptest! {
    /// Against a model: the list that is published, and the one that the thread is pinned to.
    #[test]
    fn whatever_a_thread_does_it_sees_one_generation_and_holds_that(
        deeds in prop::collection::vec(deed(), 1..60)
    ) {
        let (set, members) = serving();
        let (mut published, mut pinned) = ([1; MEMBERS], None);
        let mut guards = Vec::new();
        let mut latest = 1;
        for deed in deeds {
            match deed {
                Deed::Enter(place) => {
                    let guard = enter(&members[place]);
                    prop_assert_eq!(number(&guard), pinned.get_or_insert(published)[place]);
                    guards.push(guard);
                }
                Deed::Leave(_) if guards.is_empty() => {}
                Deed::Leave(which) => {
                    let count = guards.len();
                    drop(guards.swap_remove(which % count));
                    if guards.is_empty() {
                        pinned = None;
                    }
                }
                Deed::Publish(place) => {
                    latest += 1;
                    published[place] = latest;
                    publish(&members, place, latest);
                }
                Deed::PublishAll => {
                    latest += 1;
                    published = [latest; MEMBERS];
                    publish_all(&set, &members, latest);
                }
            }
            for place in 0..MEMBERS {
                for number in 1..=latest {
                    let is_held = pinned.is_some_and(|pinned: [usize; MEMBERS]| pinned[place] == number);
                    prop_assert_eq!(members[place].is_inside(serial(number, place)), is_held);
                }
            }
        }
    }
}

/// The next of a sequence that looks like chance.
fn next(seed: &mut usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn threads_that_hop_and_leave_in_any_order_hold_all_that_they_may_enter() {
    const NUMBERS: usize = 300;
    let (set, members) = serving();
    // What a library's mapping is to a call.
    let mapped: Arc<Vec<AtomicBool>> = Arc::new((0..=NUMBERS).map(|_| AtomicBool::new(true)).collect());
    let (units, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let hoppers: Vec<_> = (1..=3)
        .map(|seed| {
            let (members, mapped) = (members.clone(), mapped.clone());
            let (units, is_over) = (units.clone(), is_over.clone());
            thread::spawn(move || {
                let mut seed = 0x9E37_79B9_usize * seed;
                while !is_over.load(Ordering::Relaxed) {
                    let first = enter(&members[next(&mut seed) % MEMBERS]);
                    let pinned = number(&first);
                    let mut guards = vec![first];
                    while !guards.is_empty() {
                        if next(&mut seed).is_multiple_of(2) && guards.len() < 6 {
                            guards.push(enter(&members[next(&mut seed) % MEMBERS]));
                        } else {
                            guards.swap_remove(next(&mut seed) % guards.len());
                        }
                        assert!(guards.iter().all(|guard| number(guard) == pinned), "old and new are mixed");
                        // Relaxed: as soon as it's unmapped at any time, it's wrong.
                        assert!(guards.is_empty() || mapped[pinned].load(Ordering::Relaxed));
                    }
                    units.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 2..=NUMBERS {
        publish_all(&set, &members, number);
        let before = number - 1;
        for (place, member) in members.iter().enumerate() {
            loop {
                let rings = set.participants.bell.rings();
                if !member.is_inside(serial(before, place)) {
                    break;
                }
                assert!(set.participants.bell.wait(rings, Some(in_time())), "nobody has rung");
            }
        }
        mapped[before].store(false, Ordering::Relaxed);
    }
    while units.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    is_over.store(true, Ordering::Relaxed);
    hoppers.into_iter().for_each(|hopper| hopper.join().unwrap());
}

#[test]
fn a_place_is_used_again_and_nobody_finds_another_member_there() {
    let (set, members) = serving();
    let bell = Arc::new(Bell::new());
    let next = || {
        let path = CallPath::new("next".into(), METHODS, bell.clone(), SuspectPolicy::Continue);
        Arc::new(path.of_set(set.join()))
    };
    let entered = |path: &Arc<CallPath>| Guard::enter(path).map(|guard| guard.kept().serial).ok();
    let pinned = Guard::enter(&members[0]).unwrap();
    members[1].stop();
    members[1].leave_set();
    let taken = next();
    taken.publish(version(5, 1, FIRST_GENERATION));
    assert_eq!(lock(&set.changes).next.len(), MEMBERS, "it has the place of the one that left");
    // Whoever is pinned to the generation before finds neither the new one nor, through it, the old one.
    assert_eq!(entered(&taken), None);
    assert_eq!(entered(&members[1]), Some(serial(1, 1)));
    drop(pinned);
    assert_eq!(entered(&taken), Some(serial(5, 1)));
    assert_eq!(entered(&members[1]), None);
    // What has left can't publish in the other's place.
    members[1].publish(version(6, 1, FIRST_GENERATION));
    members[1].stop();
    assert_eq!((entered(&members[1]), entered(&taken)), (None, Some(serial(5, 1))));
    let more = next();
    assert_eq!(lock(&set.changes).next.len(), MEMBERS + 1);
    more.leave_set();
    taken.leave_set();
    let again = next();
    again.publish(version(7, 1, FIRST_GENERATION));
    assert_eq!((entered(&again), entered(&taken)), (Some(serial(7, 1)), None));
}
