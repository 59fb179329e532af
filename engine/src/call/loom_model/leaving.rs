//! Entering a version and leaving it, against whoever unmaps it.

use super::*;
use crate::call::footprint::Footprint;
use crate::call::participants::Hold;

/// Enters, makes one call, and leaves. Gives the version that it ran on.
fn call(model: &Model, caller: &Participant, guess: usize) -> usize {
    let version = model.enter(caller, guess);
    model.call_without_state(caller, version);
    model.leave(caller);
    version
}

#[test]
fn a_version_is_unmapped_only_after_its_last_call() {
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = calling(&model, &callers[0], |model, caller| {
            let first = call(model, caller, OUTSIDE);
            let second = call(model, caller, first);
            assert!(first <= second, "a caller never goes back");
        });
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
            .iter()
            .map(|caller| {
                calling(&model, caller, |model, caller| assert_ne!(call(model, caller, OUTSIDE), OUTSIDE))
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
        let caller = calling(&model, &callers[0], |model, caller| {
            call(model, caller, OLD);
        });
        model.publish(NEW);
        model.publish(OLD);
        model.unmap(NEW);
        caller.join().unwrap();
    });
}

#[test]
fn waiting_for_a_version_and_for_the_state_at_once_wakes_both() {
    check(|| {
        let (model, callers) = Model::new(2);
        let caller = calling(&model, &callers[0], |model, caller| {
            call(model, caller, OLD);
            model.read(caller, OLD).unwrap();
        });
        let writer = calling(&model, &callers[1], |model, writer| model.change(writer, OLD, false));
        model.publish(NEW);
        model.unmap(OLD);
        caller.join().unwrap();
        writer.join().unwrap().unwrap();
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
        let left = footprint.clone();
        let caller = calling(&model, &caller, move |model, caller| {
            if model.enter(caller, OUTSIDE) == OLD {
                left.add_debt(&thread);
            }
            let is_asked = model.leave(caller);
            if left.is_empty() {
                return;
            }
            if is_asked {
                assert!(left.is_retired(), "it's asked after that was noted");
            }
            // Asked or not: the thread ends. The destructor is code of the old version's.
            // SAFETY: loom checks that nobody writes the cell meanwhile.
            assert!(model.mapped[OLD].with(|mapped| unsafe { *mapped }));
            left.remove(&thread, Hold::Destructors);
        });
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
        caller.join().unwrap();
    });
}
