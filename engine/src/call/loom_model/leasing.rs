//! A version that is leased, against whoever unmaps it.

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

/// Makes one call through a lease.
fn call(model: &Model, caller: &Participant, version: usize) {
    caller.announcement.enter_held(version);
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
