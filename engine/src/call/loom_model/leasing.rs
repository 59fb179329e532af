//! A version that is leased, against whoever unmaps it, and calls through it against a hand-over.

use super::*;
use crate::call::leases::Leases;

/// What the reaper does, where there are leases.
fn unmap(model: &Model, leases: &Leases, version: usize) {
    loop {
        let rings = model.participants.bell.rings();
        if !leases.is_in_use(&model.participants, version) {
            break;
        }
        model.participants.bell.wait(rings, None);
    }
    // SAFETY: loom checks that nobody reads the cell meanwhile.
    model.mapped[version].with_mut(|mapped| unsafe { *mapped = false });
}

fn take(model: &Model, leases: &Leases, caller: &Participant) -> (usize, u64) {
    let version = model.enter(caller, OUTSIDE);
    let number = leases.take(version, "lease".into());
    model.leave(caller);
    (version, number)
}

/// Enters through a lease, as a guard does. False if it had to go past the door.
fn enter(model: &Model, caller: &Participant, version: usize) -> bool {
    let enter = |is_past_door: bool| {
        let is_let_in = || is_past_door || model.address.load(Ordering::Relaxed) != OUTSIDE;
        caller.announcement.enter_held(version, is_let_in, &model.participants.bell)
    };
    let is_let_in = enter(false) || model.door.enter(|| enter(false).then_some(())).is_some();
    if !is_let_in {
        enter(true);
    }
    is_let_in
}

/// Makes one call through a lease.
fn call(model: &Model, caller: &Participant, version: usize) {
    assert!(enter(model, caller, version), "there is a version, or one is on its way");
    model.call_without_state(caller, version);
    model.leave(caller);
}

#[test]
fn a_version_is_unmapped_only_after_its_last_lease() {
    check(|| {
        let (model, callers) = Model::new(1);
        let leases = Arc::new(Leases::new(model.participants.bell.clone()));
        let leasing = leases.clone();
        let caller = calling(&model, &callers[0], move |model, caller| {
            let (version, number) = take(model, &leasing, caller);
            call(model, caller, version);
            leasing.end(version, number);
        });
        model.publish(NEW);
        unmap(&model, &leases, OLD);
        caller.join().unwrap();
    });
}

/// As between two threads of an executor.
#[test]
fn a_lease_that_another_thread_goes_on_with_and_ends_holds_its_version() {
    check(|| {
        let (model, callers) = Model::new(2);
        let leases = Arc::new(Leases::new(model.participants.bell.clone()));
        let (version, number) = take(&model, &leases, &callers[0]);
        assert_eq!(version, OLD);
        let leasing = leases.clone();
        let caller = calling(&model, &callers[1], move |model, caller| {
            call(model, caller, version);
            leasing.end(version, number);
        });
        model.publish(NEW);
        unmap(&model, &leases, OLD);
        caller.join().unwrap();
    });
}

/// Two units of work, one after the other: each is let in before the moment of the hand-over or after it, so none keeps
/// it from that, and none is broken by it.
#[test]
fn a_hand_over_waits_for_calls_through_a_lease_and_they_for_it() {
    static READ: Seen = Seen::new();
    static SUPERSEDED: Seen = Seen::new();
    check(|| {
        let (model, callers) = Model::new(1);
        let leases = Arc::new(Leases::new(model.participants.bell.clone()));
        let (version, number) = take(&model, &leases, &callers[0]);
        // Not loom's: it takes no part in the interleaving.
        let inside = Arc::new(AtomicBool::new(false));
        let caller = {
            let (leases, inside) = (leases.clone(), inside.clone());
            calling(&model, &callers[0], move |model, caller| {
                for _ in 0..2 {
                    assert!(enter(model, caller, version), "there is a version, or one is on its way");
                    inside.store(true, Ordering::Relaxed);
                    match model.read(caller, version) {
                        Ok(_) => READ.note(),
                        Err(barred) => {
                            assert_eq!(barred, Barred::Superseded);
                            SUPERSEDED.note();
                        }
                    }
                    inside.store(false, Ordering::Relaxed);
                    model.leave(caller);
                }
                leases.end(version, number);
            })
        };
        model.begin_hand_over(None).expect("there is no deadline");
        assert!(!inside.load(Ordering::Relaxed), "a unit of work is inside in the moment of the hand-over");
        model.turn_state();
        assert!(!inside.load(Ordering::Relaxed), "a unit of work came in meanwhile");
        model.finish_hand_over(NEW);
        unmap(&model, &leases, OLD);
        caller.join().unwrap();
    });
    READ.check("a call before the moment");
    SUPERSEDED.check("a call after it");
}

/// A lease outlives the module's last version.
#[test]
fn a_lease_lets_in_where_nothing_is_published_any_more() {
    check(|| {
        let (model, callers) = Model::new(1);
        let leases = Arc::new(Leases::new(model.participants.bell.clone()));
        let (version, number) = take(&model, &leases, &callers[0]);
        let leasing = leases.clone();
        let caller = calling(&model, &callers[0], move |model, caller| {
            enter(model, caller, version);
            model.call_without_state(caller, version);
            model.leave(caller);
            leasing.end(version, number);
        });
        model.publish(OUTSIDE);
        unmap(&model, &leases, OLD);
        caller.join().unwrap();
    });
}
