//! The announcement protocol under loom: every interleaving, and every value a load may return.
//!
//! Run with `ci/loom`. What stands in for a library is a [`loom::cell::UnsafeCell`]: a call reads it,
//! unmapping writes it, and loom fails the model if the two could ever meet. A lost wake-up shows as a
//! deadlock, which loom reports too.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::announcement::OUTSIDE;
use super::barrier;
use super::bell::Bell;
use super::footprint::Footprint;
use super::gate::Gate;
use super::participants::{Hold, Participant, Participants};
use super::sync::Ordering;
use super::thread::Thread;

const OLD: usize = 1;
const NEW: usize = 2;

struct Model {
    published: AtomicUsize,
    /// What a library's mapping is to a call. Index 0 stands for no version.
    mapped: [UnsafeCell<bool>; 3],
    state: UnsafeCell<usize>,
    gate: Gate,
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
            state: UnsafeCell::new(0),
            gate: Gate::new(),
            participants: Participants::new(Arc::new(Bell::new())),
        });
        let callers = (0..callers)
            .map(|number| {
                let thread = Arc::new(Thread::new(0));
                let caller = Arc::new(Participant::new(thread));
                model.participants.join(caller.clone());
                caller
            })
            .collect();
        (model, callers)
    }

    /// A call that leaves something on its thread, and returns whether the thread is asked to settle.
    fn call_and_owe(&self, caller: &Participant, footprint: &Footprint, thread: &Arc<Thread>) -> bool {
        let bell = &self.participants.bell;
        let published = || self.published.load(Ordering::Relaxed);
        let version = caller.announcement.enter(OUTSIDE, published, bell);
        if version == OLD {
            footprint.add_debt(thread);
        }
        caller.announcement.leave(bell)
    }

    /// What a thread does that settles: the destructor is code of the old version's.
    fn settle(&self, footprint: &Footprint, thread: &Thread) {
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        assert!(self.mapped[OLD].with(|mapped| unsafe { *mapped }));
        footprint.remove(thread, Hold::Destructors);
    }

    /// One call: the code it runs must be mapped while it runs. Returns the version it ran on. `guess` is the
    /// one that the caller ran on before.
    fn call(&self, caller: &Participant, guess: usize) -> usize {
        let bell = &self.participants.bell;
        let version = caller.announcement.enter(guess, || self.published.load(Ordering::Relaxed), bell);
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        assert!(self.mapped[version].with(|mapped| unsafe { *mapped }));
        caller.announcement.leave(bell);
        version
    }

    fn publish(&self, version: usize) {
        self.published.store(version, Ordering::Relaxed);
        barrier::heavy();
    }

    /// What the reaper does: wait until nobody is inside, then unmap.
    fn unmap(&self, version: usize) {
        self.participants.wait_until_free(|thread| thread.announcement.version() == version);
        // SAFETY: loom checks that nobody reads the cell meanwhile.
        self.mapped[version].with_mut(|mapped| unsafe { *mapped = false });
    }

    fn read_state(&self, caller: &Participant) -> usize {
        let bell = &self.participants.bell;
        caller.announcement.borrow(&self.gate, bell);
        // SAFETY: loom checks that nobody writes the state meanwhile.
        let value = self.state.with(|state| unsafe { *state });
        caller.announcement.give_back(bell);
        value
    }

    fn change_state(&self, caller: &Participant) {
        let _alone = self.gate.close(&self.participants, caller);
        // SAFETY: loom checks that nobody reads or writes the state meanwhile.
        self.state.with_mut(|state| unsafe { *state += 1 });
    }
}

/// The number of forced switches that loom explores. Three suffice to show each fault that `ci/loom-mutants`
/// puts in: a missing barrier, a relaxed leave, a bell that is read too late.
fn check(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(body);
}

#[test]
fn a_version_is_unmapped_only_after_its_last_call() {
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = {
            let (model, caller) = (model.clone(), callers[0].clone());
            thread::spawn(move || {
                let first = model.call(&caller, OUTSIDE);
                let second = model.call(&caller, first);
                assert!(first <= second, "a caller never goes back");
            })
        };
        model.publish(NEW);
        model.unmap(OLD);
        caller.join().unwrap();
    });
}

#[test]
fn two_callers_hold_a_version_apart() {
    check(|| {
        let (model, callers) = Model::new(2);
        let threads: Vec<_> = callers
            .into_iter()
            .map(|caller| {
                let model = model.clone();
                thread::spawn(move || assert_ne!(model.call(&caller, OUTSIDE), OUTSIDE))
            })
            .collect();
        model.publish(NEW);
        model.unmap(OLD);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_rollback_leaves_the_predecessor_mapped_and_unmaps_the_new_version() {
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = {
            let (model, caller) = (model.clone(), callers[0].clone());
            thread::spawn(move || {
                model.call(&caller, OLD);
            })
        };
        model.publish(NEW);
        model.publish(OLD);
        model.unmap(NEW);
        caller.join().unwrap();
    });
}

#[test]
fn an_exclusive_call_has_the_state_alone() {
    check(|| {
        let (model, callers) = Model::new(2);
        let (reader, writer) = (callers[0].clone(), callers[1].clone());
        let reading = {
            let model = model.clone();
            thread::spawn(move || {
                let first = model.read_state(&reader);
                let second = model.read_state(&reader);
                assert!(first <= second);
            })
        };
        model.change_state(&writer);
        reading.join().unwrap();
        assert_eq!(model.read_state(&writer), 1);
    });
}

#[test]
fn exclusive_calls_take_turns() {
    check(|| {
        let (model, callers) = Model::new(3);
        let reader = callers[2].clone();
        let threads: Vec<_> = callers[..2]
            .iter()
            .cloned()
            .map(|writer| {
                let model = model.clone();
                thread::spawn(move || model.change_state(&writer))
            })
            .collect();
        model.read_state(&reader);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(model.read_state(&reader), 2);
    });
}

#[test]
fn waiting_for_a_version_and_for_the_state_at_once_wakes_both() {
    check(|| {
        let (model, callers) = Model::new(2);
        let (caller, writer) = (callers[0].clone(), callers[1].clone());
        let calling = {
            let model = model.clone();
            thread::spawn(move || {
                model.call(&caller, OLD);
                model.read_state(&caller);
            })
        };
        let writing = {
            let model = model.clone();
            thread::spawn(move || model.change_state(&writer))
        };
        model.publish(NEW);
        model.unmap(OLD);
        calling.join().unwrap();
        writing.join().unwrap();
    });
}

#[test]
fn a_version_is_unmapped_only_after_what_was_left_on_a_thread_is_settled() {
    check(|| {
        let (model, _) = Model::new(0);
        let thread = Arc::new(Thread::new(0));
        let caller = Arc::new(Participant::new(thread.clone()));
        thread.join(&caller);
        model.participants.join(caller.clone());
        let footprint = Footprint::new(OLD, model.participants.bell.clone());
        let calling = {
            let (model, footprint) = (model.clone(), footprint.clone());
            thread::spawn(move || {
                let asked = model.call_and_owe(&caller, &footprint, &thread);
                let owes = !footprint.is_empty();
                if owes && asked {
                    assert!(footprint.is_retired(), "it's asked after that was noted");
                }
                // Asked or not: the thread ends.
                if owes {
                    model.settle(&footprint, &thread);
                }
            })
        };
        model.publish(NEW);
        footprint.retire();
        model.participants.wait_until_free(|thread| thread.announcement.version() == OLD);
        loop {
            let rings = model.participants.bell.rings();
            if footprint.is_empty() {
                break;
            }
            model.participants.bell.wait(rings, None);
        }
        model.unmap(OLD);
        calling.join().unwrap();
    });
}
