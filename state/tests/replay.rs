//! Calls that are made again from the bytes of their arguments, and bytes that are the same for equal values.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use liveswap_state::{
    Access, CallError, CodePointer, Context, Encoder, Export, Fenced, Gate, HashMap, HashSet, Interface,
    Logic, Passage, Sharded, State, interface,
};

/// What a slice is of.
#[derive(Debug, PartialEq, State)]
pub struct Note {
    text: String,
}

/// A method for each way to pass an argument.
#[interface]
pub trait Desk {
    /// Alone, with what is borrowed and unsized.
    fn write(&mut self, who: &str, notes: &[Note], by: u64) -> usize;
    /// With an argument that is lent to be changed.
    fn append(&self, buffer: &mut Vec<u8>, number: &u32) -> Option<String>;
    /// Whose answer has no order.
    fn words() -> HashMap<String, u32>;
    /// Which panics.
    fn fails(text: &str);
    /// With an argument that others may change.
    fn shared(mutex: Arc<Mutex<u8>>);
    /// With an argument that has no bytes.
    fn since(moment: Instant) -> u64;
}

struct DeskLogicV1;

impl Logic for DeskLogicV1 {
    type State = Vec<String>;

    fn create(_: &Context) -> Vec<String> {
        Vec::new()
    }
}

impl DeskLogic for DeskLogicV1 {
    fn write(state: &mut Vec<String>, _: &Context, who: &str, notes: &[Note], by: u64) -> usize {
        state.extend(notes.iter().map(|note| format!("{who} {} {by}", note.text)));
        state.len()
    }

    fn append(state: &Vec<String>, context: &Context, buffer: &mut Vec<u8>, number: &u32) -> Option<String> {
        buffer.push(*number as u8);
        state.first().map(|first| format!("{first} {}", context.version()))
    }

    fn words(_: &Context) -> HashMap<String, u32> {
        (0..50).map(|number| (number.to_string(), number)).collect()
    }

    fn fails(_: &Context, text: &str) {
        panic!("{text}");
    }

    fn shared(_: &Context, _: Arc<Mutex<u8>>) {}

    fn since(_: &Context, moment: Instant) -> u64 {
        moment.elapsed().as_secs()
    }
}

const EXPORT: Export<DeskLogicV1, dyn Desk> = DeskLogicV1::__LIVESWAP_EXPORT;

fn bytes(value: &(impl State + ?Sized)) -> Vec<u8> {
    let mut encoder = Encoder::canonical();
    value.encode(&mut encoder);
    encoder.finish().unwrap()
}

fn replay(method: &str, state: &mut Vec<String>, arguments: &[u8]) -> Fenced<Result<Vec<u8>, String>> {
    let place = <dyn Desk>::METHODS.iter().position(|known| known.name == method).unwrap();
    let (context, state) = (Context::new("desk", "7"), std::ptr::from_mut(state).cast());
    // SAFETY: the state is of the logic's type, and is borrowed for this alone.
    let answer = unsafe { EXPORT.replay()[place](state, &context, arguments) };
    answer.map(|answer| answer.map_err(|error| error.to_string()))
}

/// Calls nothing, and keeps what it's given to record.
struct Recording(Mutex<Vec<(usize, Vec<u8>)>>);

// SAFETY: it calls nothing.
unsafe impl Gate for &Recording {
    unsafe fn pass<R>(
        &self,
        _: usize,
        _: Access,
        _: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        Err(CallError::NoActiveVersion { module: "desk".to_owned() })
    }

    fn is_recording(&self) -> bool {
        true
    }

    fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        let mut encoder = Encoder::new();
        encode(&mut encoder);
        self.0.lock().unwrap().push((method, encoder.finish().unwrap()));
    }
}

#[test]
fn what_a_proxy_records_can_be_called_again() {
    let recording = Recording(Mutex::default());
    // SAFETY: it leads to no code at all.
    let desk = <dyn Desk>::proxy(unsafe { Passage::new(&recording) });
    let notes = [Note { text: "a".to_owned() }, Note { text: "b".to_owned() }];
    desk.write("ada", &notes, 7).unwrap_err();
    desk.append(&mut vec![1, 2], &3).unwrap_err();
    desk.words().unwrap_err();
    desk.fails("no").unwrap_err();
    // These two can't be told by bytes.
    desk.shared(Arc::default()).unwrap_err();
    desk.since(Instant::now()).unwrap_err();
    let recorded = recording.0.into_inner().unwrap();
    assert_eq!(recorded.iter().map(|(method, _)| *method).collect::<Vec<_>>(), [0, 1, 2, 3]);

    let mut state = Vec::new();
    assert_eq!(replay("write", &mut state, &recorded[0].1), Ok(Ok(bytes(&2_usize))));
    assert_eq!(state, ["ada a 7", "ada b 7"]);
    // The result, and what became of the argument that was lent.
    let expected = [bytes(&Some("ada a 7 7".to_owned())), bytes(&vec![1_u8, 2, 3])].concat();
    assert_eq!(replay("append", &mut state, &recorded[1].1), Ok(Ok(expected)));
    let words = replay("words", &mut state, &recorded[2].1);
    assert_eq!(words, replay("words", &mut state, &recorded[2].1), "the map's own order doesn't show");
    assert_eq!(replay("fails", &mut state, &recorded[3].1).unwrap_err().message, "no");
}

#[test]
fn bytes_of_other_arguments_are_no_call() {
    let mut state = Vec::new();
    assert!(replay("write", &mut state, b"").unwrap().is_err());
    assert!(replay("words", &mut state, b"x").unwrap().unwrap_err().contains("behind the value"));
    assert!(replay("since", &mut state, b"").unwrap().unwrap_err().contains("`Instant`"));
    assert!(state.is_empty());
}

#[test]
fn equal_values_have_the_same_bytes() {
    #[derive(State)]
    struct Everything {
        map: HashMap<u32, HashSet<String>>,
        large: Sharded<String, HashMap<u8, u8>>,
        plain: Vec<u8>,
    }

    let make = || Everything {
        map: (0..40).map(|id| (id, (0..20).map(|word| format!("{word}")).collect())).collect(),
        large: (0..1000).map(|id| (id.to_string(), (0..20).map(|byte| (byte, byte)).collect())).collect(),
        plain: vec![1, 2],
    };
    let (one, other) = (make(), make());
    assert!(bytes(&one) == bytes(&other));
    other.large.update("7", |map| map.insert(3, 4));
    assert!(bytes(&one) != bytes(&other));
    other.large.update("7", |map| map.insert(3, 3));
    assert!(bytes(&one) == bytes(&other));
    other.large.remove("8");
    assert!(bytes(&one) != bytes(&other));
}
