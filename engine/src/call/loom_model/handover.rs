//! A hand-over of the state to a version of the next generation, against callers of all kinds.

use super::*;

/// One unit of work with one call that reads. It must get in and must be let to the state.
fn read_once(model: &Model, caller: &Participant, guess: usize) -> usize {
    let version = model.enter(caller, guess);
    assert_ne!(version, OUTSIDE, "a version is on its way");
    model.read(caller, version).expect("it is of the version's generation");
    model.leave(caller);
    version
}

#[test]
fn a_caller_meets_the_old_version_or_the_new_one() {
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = calling(&model, &callers[0], |model, caller| {
            let first = read_once(model, caller, OUTSIDE);
            let second = read_once(model, caller, first);
            assert!(first <= second, "a caller never goes back");
        });
        assert!(model.hand_over(None));
        caller.join().unwrap();
        assert_eq!(read_once(&model, &callers[0], OLD), NEW);
    });
}

#[test]
fn two_callers_are_waited_for_apart() {
    check(|| {
        let (model, callers) = Model::new(2);
        let threads: Vec<_> = callers
            .iter()
            .map(|caller| calling(&model, caller, |model, caller| read_once(model, caller, OLD)))
            .collect();
        assert!(model.hand_over(None));
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn an_exclusive_call_is_waited_for_or_meets_the_new_version() {
    check(|| {
        let (model, callers) = Model::new(2);
        let writer = calling(&model, &callers[0], |model, caller| {
            let version = model.enter(caller, OLD);
            model.change(caller, version, false).expect("it is of the version's generation");
            model.leave(caller);
        });
        assert!(model.hand_over(None));
        writer.join().unwrap();
        assert_eq!(model.read(&callers[1], NEW), Ok(1));
    });
}

/// One that was let to the state since its last call without it is let to it until the next.
#[test]
fn who_comes_back_to_the_state_is_let_go_on_or_has_come_too_late() {
    static SUPERSEDED: Seen = Seen::new();
    static WENT_ON: Seen = Seen::new();
    check(|| {
        let (model, callers) = Model::new(1);
        // In a call without state from the beginning, so that the switches are left for what comes then.
        let version = model.enter(&callers[0], OLD);
        callers[0].announcement.say(Doing::calling(STATELESS));
        let caller = calling(&model, &callers[0], move |model, caller| {
            caller.announcement.say(Doing::NOTHING);
            let first = model.read(caller, version);
            let second = model.read(caller, version);
            model.leave(caller);
            match first {
                Ok(_) => {
                    WENT_ON.note();
                    assert_eq!(second, first, "it was let in before");
                }
                Err(_) => {
                    SUPERSEDED.note();
                    assert_eq!((first, second), (Err(Barred::Superseded), first));
                    assert_eq!(read_once(model, caller, version), NEW);
                }
            }
        });
        assert!(model.hand_over(None));
        caller.join().unwrap();
    });
    SUPERSEDED.check("a call that comes too late");
    WENT_ON.check("a call that is let go on");
}

#[test]
fn who_wants_the_state_alone_after_a_call_without_it_has_it_or_has_come_too_late() {
    static SUPERSEDED: Seen = Seen::new();
    check(|| {
        let (model, callers) = Model::new(2);
        let writer = calling(&model, &callers[0], |model, caller| {
            let version = model.enter(caller, OLD);
            model.call_without_state(caller, version);
            let changed = model.change(caller, version, false);
            model.leave(caller);
            if changed.is_err() {
                SUPERSEDED.note();
                assert_eq!((version, changed), (OLD, Err(Barred::Superseded)));
            }
            usize::from(changed.is_ok())
        });
        assert!(model.hand_over(None));
        let changes = writer.join().unwrap();
        assert_eq!(model.read(&callers[1], NEW), Ok(changes));
    });
    SUPERSEDED.check("a call that comes too late");
}

/// The state is turned over while a call without state is inside, whose code stays.
#[test]
fn a_call_without_state_is_not_waited_for_until_its_version_goes() {
    static OVERTAKEN: Seen = Seen::new();
    check(|| {
        let (model, callers) = Model::new(1);
        let inside = Arc::new(AtomicBool::new(false));
        let caller = {
            let inside = inside.clone();
            calling(&model, &callers[0], move |model, caller| {
                let version = model.enter(caller, OLD);
                inside.store(version == OLD, Ordering::Relaxed);
                model.call_without_state(caller, version);
                inside.store(false, Ordering::Relaxed);
                model.leave(caller);
            })
        };
        assert!(model.hand_over(None));
        if inside.load(Ordering::Relaxed) {
            OVERTAKEN.note();
        }
        model.unmap(OLD);
        caller.join().unwrap();
    });
    OVERTAKEN.check("a call that is inside all the while");
}

#[test]
fn a_hand_over_that_is_missed_leaves_all_as_it_was() {
    static MISSED: Seen = Seen::new();
    static WAITED: Seen = Seen::new();
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = calling(&model, &callers[0], |model, caller| {
            let version = model.enter(caller, OLD);
            model.call_without_state(caller, version);
            let read = model.read(caller, version);
            model.leave(caller);
            assert!(read.is_ok() || (version, read) == (OLD, Err(Barred::Superseded)));
            read_once(model, caller, version);
        });
        // It waits for nobody, because it has passed.
        if !model.hand_over(Some(Instant::now())) {
            MISSED.note();
            if model.hand_over(None) {
                WAITED.note();
            }
        }
        caller.join().unwrap();
        assert_eq!(read_once(&model, &callers[0], OLD), NEW);
    });
    MISSED.check("a hand-over that is missed");
    WAITED.check("one that isn't, after that");
}

#[test]
fn a_suspect_state_stays_suspect_when_it_is_turned_over() {
    check(|| {
        let (model, callers) = Model::new(2);
        let caller = calling(&model, &callers[0], |model, caller| {
            let first = model.enter(caller, OLD);
            model.change(caller, first, true).expect("it is of the version's generation");
            model.leave(caller);
            let second = model.enter(caller, first);
            assert_ne!(second, OUTSIDE);
            assert_eq!(model.read(caller, second), Err(Barred::Suspect));
            model.leave(caller);
        });
        let was_open_for = model.begin_hand_over(None).expect("there is no deadline");
        model.turn_state();
        model.finish_hand_over(if was_open_for == OLD { NEW } else { was_open_for });
        caller.join().unwrap();
        model.trust(NEW);
        assert_eq!(model.read(&callers[1], NEW), Ok(1));
    });
}

#[test]
fn nobody_waits_for_a_state_that_is_lost() {
    check(|| {
        let (model, callers) = Model::new(1);
        let caller = calling(&model, &callers[0], |model, caller| {
            let version = model.enter(caller, OLD);
            if version == OUTSIDE {
                return;
            }
            model.call_without_state(caller, version);
            let read = model.read(caller, version);
            assert!(matches!(read, Ok(_) | Err(Barred::Superseded)), "{read:?}");
            model.leave(caller);
        });
        model.begin_hand_over(None).expect("there is no deadline");
        model.entrance().open(Some(NEW), || {});
        caller.join().unwrap();
        assert_eq!(model.enter(&callers[0], OLD), OUTSIDE);
        // The next state is of the next generation.
        model.turn_state();
        model.publish(NEW);
        assert_eq!(read_once(&model, &callers[0], OUTSIDE), NEW);
    });
}
