//! The announcement protocol under loom: every interleaving, and every value a load may return.
//!
//! Run with `ci/loom`. What stands in for a library, and for a state, is a [`loom::cell::UnsafeCell`]: a call reads it,
//! unmapping or turning it over writes it, and loom fails the model if the two could ever meet. A lost wake-up shows as
//! a deadlock, which loom reports too.
//!
//! All but the cells with the published version and a thread's own side of a module (`Local`, `Inside`) is the real thing.

mod handover;
mod leasing;
mod leaving;
mod set;
mod state;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::announcement::OUTSIDE;
use super::barrier;
use super::bell::Bell;
use super::doing::Doing;
use super::door::Door;
use super::gate::{Barred, Gate};
use super::handover::{Entrance, is_in_the_way};
use super::participants::{Participant, Participants};
use super::sync::Ordering;
use super::thread::Thread;

/// Two versions. The state of each is the generation with the same number.
const OLD: usize = 1;
const NEW: usize = 2;

/// Two methods, by their numbers.
const STATELESS: usize = 0;
const STATEFUL: usize = 1;

struct Model {
    /// What `Published` has of the version: its address, and itself.
    address: AtomicUsize,
    published: AtomicUsize,
    /// What a library's mapping is to a call. Index 0 stands for no version.
    mapped: [UnsafeCell<bool>; 3],
    /// The state in each generation, as long as it's of that one.
    states: [UnsafeCell<Option<usize>>; 3],
    gate: Gate,
    door: Door,
    participants: Participants,
}

// SAFETY: that the cells are shared safely is what the model checks; loom watches each access.
unsafe impl Sync for Model {}
// SAFETY: as above.
unsafe impl Send for Model {}

impl Model {
    fn new(callers: usize) -> (Arc<Self>, Vec<Arc<Participant>>) {
        let model = Arc::new(Self {
            address: AtomicUsize::new(OLD),
            published: AtomicUsize::new(OLD),
            mapped: [UnsafeCell::new(false), UnsafeCell::new(true), UnsafeCell::new(true)],
            states: [UnsafeCell::new(None), UnsafeCell::new(Some(0)), UnsafeCell::new(None)],
            gate: Gate::new(),
            door: Door::new(),
            participants: Participants::new(Arc::new(Bell::new())),
        });
        let callers = (0..callers)
            .map(|_| {
                let caller = Arc::new(Participant::new(Arc::new(Thread::new(0))));
                model.participants.join(caller.clone());
                caller
            })
            .collect();
        (model, callers)
    }

    /// Enters, as a guard does, and gives the version; or [`OUTSIDE`]. `guess` is the one that the caller was in before.
    fn enter(&self, caller: &Participant, guess: usize) -> usize {
        self.enter_once(caller, guess)
            .or_else(|| self.door.enter(|| self.enter_once(caller, guess)))
            .unwrap_or(OUTSIDE)
    }

    /// As `Local::enter` does: the short way, or else the long one.
    fn enter_once(&self, caller: &Participant, guess: usize) -> Option<usize> {
        let (announcement, bell) = (&caller.announcement, &self.participants.bell);
        if announcement.enter_again(guess) {
            if guess != OUTSIDE && self.address.load(Ordering::Relaxed) == guess {
                return Some(guess);
            }
            announcement.turn_back(bell);
        }
        let entered = announcement.enter(guess, || self.published.load(Ordering::Acquire), bell);
        (entered != OUTSIDE).then_some(entered)
    }

    fn leave(&self, caller: &Participant) -> bool {
        caller.announcement.leave() && caller.announcement.answer_outside(&self.participants.bell)
    }

    fn give_back(&self, caller: &Participant) {
        if caller.announcement.give_back(Doing::NOTHING) {
            caller.announcement.answer(&self.participants.bell);
        }
    }

    /// One call that doesn't touch the state, by who is inside: its code must be mapped while it runs.
    fn call_without_state(&self, caller: &Participant, version: usize) {
        caller.announcement.say(Doing::calling(STATELESS));
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        assert!(self.mapped[version].with(|mapped| unsafe { *mapped }));
        caller.announcement.say(Doing::NOTHING);
    }

    /// One call that reads the state, by who is inside: the short way, or else the long one.
    fn read(&self, caller: &Participant, version: usize) -> Result<usize, Barred> {
        let (announcement, doing) = (&caller.announcement, Doing::calling(STATEFUL));
        announcement.borrow_again(doing);
        if !self.gate.admits(version) {
            self.give_back(caller);
            let bell = &self.participants.bell;
            announcement.borrow(&self.gate, version, doing, Doing::NOTHING, bell, || Ok(()))?;
        }
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        let value = self.states[version].with(|state| unsafe { *state });
        self.give_back(caller);
        Ok(value.expect("the state is of this generation"))
    }

    /// One call that changes the state, by who is inside. If it panics, it leaves the state suspect.
    fn change(&self, caller: &Participant, version: usize, panics: bool) -> Result<(), Barred> {
        let mut closed = self.gate.close_for(version, &self.participants)?;
        caller.announcement.say(Doing::calling(STATEFUL).borrowing());
        // SAFETY: loom checks that nobody reads or writes the cell meanwhile.
        self.states[version].with_mut(|state| unsafe {
            let value = (*state).as_mut().expect("the state is of this generation");
            *value += 1;
        });
        if panics {
            closed.suspect();
        }
        self.give_back(caller);
        Ok(())
    }

    /// Whatever has happened to the state, those of this generation are let to it.
    fn trust(&self, generation: usize) {
        let mut closed = self.gate.close_by(&self.participants, None).expect("there is no deadline");
        closed.trust(generation);
    }

    /// As `Published::set` does.
    fn set(&self, version: usize) {
        self.address.store(version, Ordering::Relaxed);
        self.published.store(version, Ordering::Release);
    }

    fn publish(&self, version: usize) {
        self.set(version);
        barrier::heavy();
    }

    /// What the reaper does: wait until nobody is inside, then unmap.
    fn unmap(&self, version: usize) {
        self.participants.wait_until_free(|thread| thread.announcement.version() == version);
        // SAFETY: loom checks that nobody reads the cell meanwhile.
        self.mapped[version].with_mut(|mapped| unsafe { *mapped = false });
    }

    fn entrance(&self) -> Entrance<'_> {
        Entrance { door: &self.door, gate: &self.gate, participants: &self.participants }
    }

    /// What a hand-over does until nobody is in the state. Gives what the gate was open for; or all is as before.
    fn begin_hand_over(&self, deadline: Option<Instant>) -> Option<usize> {
        let take_away = || self.set(OUTSIDE);
        let is_stateless = |method| method == Some(STATELESS);
        let is_in_the_way = |thread: &Participant| is_in_the_way(thread, is_stateless);
        let begun = self.entrance().close(take_away, is_in_the_way, deadline);
        if begun.is_none() {
            self.entrance().open(None, || self.publish(OLD));
        }
        begun
    }

    /// The state becomes that of the new version.
    fn turn_state(&self) {
        // SAFETY: loom checks that nobody reads or writes either cell meanwhile.
        let value = self.states[OLD].with_mut(|state| unsafe { (*state).take() });
        // SAFETY: as above.
        self.states[NEW].with_mut(|state| unsafe { *state = value });
    }

    fn finish_hand_over(&self, open_for: usize) {
        self.entrance().open(Some(open_for), || self.publish(NEW));
    }

    /// A whole one. False if it was missed.
    fn hand_over(&self, deadline: Option<Instant>) -> bool {
        let begun = self.begin_hand_over(deadline);
        if begun.is_some() {
            self.turn_state();
            self.finish_hand_over(NEW);
        }
        begun.is_some()
    }
}

/// Whether something has come up in any interleaving, so that a model can't pass by never getting there. Not loom's:
/// it must outlast the interleaving, and not take part in it.
struct Seen(AtomicBool);

impl Seen {
    const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self, what: &str) {
        assert!(self.0.load(Ordering::Relaxed), "in no interleaving: {what}");
    }
}

/// The number of forced switches that loom explores. Three suffice to show each fault that `ci/loom-mutants` puts in: a
/// missing barrier, a relaxed leave, a bell that is read too late.
fn check(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(body);
}

/// A thread that calls.
fn calling<R: 'static>(
    model: &Arc<Model>,
    caller: &Arc<Participant>,
    work: impl FnOnce(&Model, &Participant) -> R + 'static,
) -> thread::JoinHandle<R> {
    let (model, caller) = (model.clone(), caller.clone());
    thread::spawn(move || work(&model, &caller))
}
