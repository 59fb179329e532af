//! Borrowing the state, shared and alone.

use super::*;

#[test]
fn an_exclusive_call_has_the_state_alone() {
    check(|| {
        let (model, callers) = Model::new(2);
        let reader = calling(&model, &callers[0], |model, reader| {
            let first = model.read(reader, OLD).unwrap();
            let second = model.read(reader, OLD).unwrap();
            assert!(first <= second);
        });
        model.change(&callers[1], OLD, false).unwrap();
        reader.join().unwrap();
        assert_eq!(model.read(&callers[1], OLD), Ok(1));
    });
}

#[test]
fn exclusive_calls_take_turns() {
    check(|| {
        let (model, callers) = Model::new(3);
        let writers: Vec<_> = callers[..2]
            .iter()
            .map(|writer| calling(&model, writer, |model, writer| model.change(writer, OLD, false)))
            .collect();
        model.read(&callers[2], OLD).unwrap();
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
        assert_eq!(model.read(&callers[2], OLD), Ok(2));
    });
}

#[test]
fn who_waits_for_a_state_that_becomes_suspect_is_turned_away() {
    check(|| {
        let (model, callers) = Model::new(3);
        let panicking = calling(&model, &callers[0], |model, caller| model.change(caller, OLD, true));
        let writer = calling(&model, &callers[1], |model, caller| model.change(caller, OLD, false));
        let read = model.read(&callers[2], OLD);
        assert!(matches!(read, Ok(0 | 1) | Err(Barred::Suspect)), "{read:?}");
        panicking.join().unwrap().unwrap();
        let written = writer.join().unwrap();
        assert!(matches!(written, Ok(()) | Err(Barred::Suspect)), "{written:?}");

        assert_eq!(model.read(&callers[2], OLD), Err(Barred::Suspect));
        assert_eq!(model.change(&callers[2], OLD, false), Err(Barred::Suspect));
        model.trust(OLD);
        let changes = 1 + usize::from(written.is_ok());
        assert_eq!(model.read(&callers[2], OLD), Ok(changes));
    });
}
