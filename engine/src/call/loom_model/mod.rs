//! The announcement protocol under loom: every interleaving, and every value a load may return.
//!
//! Run with `ci/loom`. What stands in for a library, and for a state, is a [`loom::cell::UnsafeCell`]: a call reads it,
//! unmapping or turning it over writes it, and loom fails the model if the two could ever meet. A lost wake-up shows as
//! a deadlock, which loom reports too.
//!
//! All but the cell with the published version and a thread's own side of a module is the real thing.

mod handover;
mod leaving;
mod state;

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, fence};
use loom::thread;

use super::announcement::OUTSIDE;
use super::barrier;
use super::bell::Bell;
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
        let entered = Cell::new(OUTSIDE);
        let enter = || {
            let mut known = guess;
            // As arc-swap's cache: relaxed, and acquired only if it has changed.
            let published = || {
                let published = self.published.load(Ordering::Relaxed);
                if std::mem::replace(&mut known, published) != published {
                    fence(Ordering::Acquire);
                }
                published
            };
            entered.set(caller.announcement.enter(guess, published, &self.participants.bell));
            entered.get() != OUTSIDE
        };
        if !enter() {
            self.door.enter(enter);
        }
        entered.get()
    }

    fn leave(&self, caller: &Participant) -> bool {
        caller.announcement.leave(&self.participants.bell)
    }

    /// One call that doesn't touch the state, by who is inside: its code must be mapped while it runs.
    fn call_without_state(&self, caller: &Participant, version: usize) {
        let outer = caller.announcement.note_method(STATELESS + 1);
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        assert!(self.mapped[version].with(|mapped| unsafe { *mapped }));
        caller.announcement.note_method(outer);
    }

    /// One call that reads the state, by who is inside.
    fn read(&self, caller: &Participant, version: usize) -> Result<usize, Barred> {
        let bell = &self.participants.bell;
        caller.announcement.borrow(&self.gate, version, bell)?;
        let outer = caller.announcement.note_method(STATEFUL + 1);
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        let value = self.states[version].with(|state| unsafe { *state });
        caller.announcement.note_method(outer);
        caller.announcement.give_back(bell);
        Ok(value.expect("the state is of this generation"))
    }

    /// One call that changes the state, by who is inside. If it panics, it leaves the state suspect.
    fn change(&self, caller: &Participant, version: usize, panics: bool) -> Result<(), Barred> {
        let mut closed = self.gate.close_for(version, &self.participants)?;
        caller.announcement.seclude();
        let outer = caller.announcement.note_method(STATEFUL + 1);
        // SAFETY: loom checks that nobody reads or writes the cell meanwhile.
        self.states[version].with_mut(|state| unsafe {
            let value = (*state).as_mut().expect("the state is of this generation");
            *value += 1;
        });
        caller.announcement.note_method(outer);
        if panics {
            closed.suspect();
        }
        caller.announcement.give_back(&self.participants.bell);
        Ok(())
    }

    /// Whatever has happened to the state, those of this generation are let to it.
    fn trust(&self, generation: usize) {
        let mut closed = self.gate.close_by(&self.participants, None).expect("there is no deadline");
        closed.trust(generation);
    }

    fn publish(&self, version: usize) {
        self.published.store(version, Ordering::Release);
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
        let take_away = || self.published.store(OUTSIDE, Ordering::Release);
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

/// Explores all interleavings with so many forced switches. Three suffice to show each fault that `ci/loom-mutants` puts
/// in: a missing barrier, a relaxed leave, a bell that is read too late.
fn check_with(switches: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(switches));
    builder.check(body);
}

fn check(body: impl Fn() + Sync + Send + 'static) {
    check_with(3, body);
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
