//! Bytes from outside: whatever they are, a decoder gives a value or an error. It doesn't panic, it doesn't take the
//! whole stack, and it doesn't allocate for what the bytes only claim.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use liveswap_state::table::StateTable;
use liveswap_state::{CodecError, Decoder, Encoder, HashMap, HashSet, Sharded, State};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

/// Knows how much this thread has, and had at most.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    NOW.set(NOW.get() + bytes);
    MOST.set(MOST.get().max(NOW.get()));
}

// SAFETY: each request goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` had allocated at most.
fn most_allocated<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = NOW.get();
    MOST.set(before);
    let result = work();
    (result, (MOST.get() - before) as usize)
}

fn encode(value: &impl State) -> Vec<u8> {
    let mut encoder = Encoder::new();
    value.encode(&mut encoder);
    encoder.finish().expect("the value has bytes")
}

fn decode<T: State>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes);
    let value = T::decode(&mut decoder)?;
    decoder.finish()?;
    Ok(value)
}

/// A bit of everything, in everything.
#[derive(Clone, Debug, PartialEq, State)]
enum Value {
    Nothing,
    Plain(bool, char, f64, (i8, u16, i32, u64, i128)),
    Text(String),
    Bytes { bytes: Vec<u8>, fixed: [u16; 5] },
    Times(Vec<Duration>, Option<std::time::SystemTime>),
    Choice(Result<Box<Value>, Arc<String>>),
    List(Vec<Value>),
    Queue(VecDeque<Option<Value>>),
    Sorted(BTreeMap<String, Value>, BTreeSet<i64>),
    Hashed(HashMap<u32, Value>, HashSet<String>),
}

fn values() -> impl Strategy<Value = Value> {
    let plain = (any::<bool>(), any::<char>(), any::<f64>(), any::<(i8, u16, i32, u64, i128)>());
    let time = (any::<u32>(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| Duration::new(seconds.into(), nanos));
    let leaf = prop_oneof![
        Just(Value::Nothing),
        plain.prop_map(|(flag, letter, float, numbers)| Value::Plain(flag, letter, float, numbers)),
        any::<String>().prop_map(Value::Text),
        any::<(Vec<u8>, [u16; 5])>().prop_map(|(bytes, fixed)| Value::Bytes { bytes, fixed }),
        vec(time, 0..4).prop_map(|times| {
            let moment = times.first().map(|since| UNIX_EPOCH + *since);
            Value::Times(times, moment)
        }),
    ];
    leaf.prop_recursive(4, 60, 6, |value| {
        let text = any::<String>().prop_map(|text| Value::Choice(Err(Arc::new(text))));
        prop_oneof![
            text,
            value.clone().prop_map(|value| Value::Choice(Ok(Box::new(value)))),
            vec(value.clone(), 0..6).prop_map(Value::List),
            vec(proptest::option::of(value.clone()), 0..6).prop_map(|values| Value::Queue(values.into())),
            (btree_map(any::<String>(), value.clone(), 0..6), any::<BTreeSet<i64>>())
                .prop_map(|(map, set)| Value::Sorted(map, set)),
            (btree_map(any::<u32>(), value, 0..6), any::<Vec<String>>())
                .prop_map(|(map, set)| Value::Hashed(map.into_iter().collect(), set.into_iter().collect())),
        ]
    })
}

/// Decoding must come back, with no more than so many bytes allocated for each that is there.
fn survives<T: State>(bytes: &[u8], for_each: usize) {
    let (_, most) = most_allocated(|| decode::<T>(bytes).map(drop));
    // What is allocated ahead, once for each level that values may be nested.
    let ahead = if T::NAME == "Value" { 300 * 8192 } else { 3 * 8192 };
    let allowed = ahead + for_each * bytes.len();
    assert!(most <= allowed, "{} took {most} for {} bytes", T::NAME, bytes.len());
}

fn all_survive(bytes: &[u8]) {
    // Twice an element's size, as a list grows; a hash table is half empty and has a byte more for each place.
    survives::<Value>(bytes, 4 * size_of::<Value>() + 64);
    survives::<Vec<u64>>(bytes, 16);
    survives::<Vec<Option<[u8; 256]>>>(bytes, 2 * 257);
    survives::<Box<[Vec<Vec<String>>]>>(bytes, 3 * 48);
    survives::<VecDeque<(u8, u32)>>(bytes, 16);
    survives::<BTreeMap<String, Vec<u16>>>(bytes, 4 * 48);
    survives::<HashMap<u16, Option<[u8; 256]>>>(bytes, 4 * 270);
    survives::<HashSet<(u8, Vec<bool>)>>(bytes, 4 * 33);
    survives::<[Option<String>; 40]>(bytes, 8);
    survives::<Vec<()>>(bytes, 0);
    survives::<Vec<Sharded<u8, u8>>>(bytes, 8192);
}

/// All that lengths say: much, too much, and far too much.
fn lengths() -> impl Strategy<Value = Vec<u8>> {
    let large = prop_oneof![any::<u64>(), 0..2_000_000_u64, Just(u64::MAX), Just(1 << 20)];
    let piece =
        prop_oneof![vec(any::<u8>(), 0..20), large.prop_map(|length| encode(&length)), Just(vec![1; 50])];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nested_values_come_back_as_they_were(value in values()) {
        let bytes = encode(&value);
        let again: Value = decode(&bytes).unwrap();
        prop_assert_eq!(&again, &value);
    }

    #[test]
    fn no_bytes_break_a_decoder(bytes in vec(any::<u8>(), 0..2000), claims in lengths()) {
        all_survive(&bytes);
        all_survive(&claims);
    }

    #[test]
    fn bytes_of_a_value_that_were_damaged_do_not_break_a_decoder(
        value in values(), place in any::<prop::sample::Index>(), byte in any::<u8>(), claim in any::<u64>(),
    ) {
        let bytes = encode(&value);
        let place = place.index(bytes.len());
        let mut damaged = bytes.clone();
        damaged[place] = byte;
        all_survive(&damaged);
        all_survive(&[&bytes[..place], encode(&claim).as_slice(), &bytes[place..]].concat());
        prop_assert!(decode::<Value>(&bytes[..place]).is_err());
    }
}

#[derive(State)]
struct Nested {
    within: Vec<Nested>,
}

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested { within: vec![] }, |within, _| Nested { within: vec![within] })
}

#[test]
fn values_nested_too_deep_are_refused_and_do_not_take_the_stack() {
    assert_eq!(decode::<Nested>(&[1; 1_000_000]).map(drop), Err(CodecError::TooDeep));
    assert_eq!(decode::<Value>(&[6, 1].repeat(500_000)).map(drop), Err(CodecError::TooDeep));
}

/// What can't be read must not be written either.
#[test]
fn what_can_be_written_can_be_read_however_deep_it_is_nested() {
    for levels in [255, 256, 257, 1000] {
        let mut encoder = Encoder::new();
        nested(levels).encode(&mut encoder);
        match encoder.finish() {
            Ok(bytes) => drop(decode::<Nested>(&bytes).unwrap()),
            Err(error) => assert!(levels > 256 && error == CodecError::TooDeep, "{levels}: {error}"),
        }
    }
}

#[test]
fn values_beside_each_other_are_not_nested() {
    assert!(decode::<Vec<Nested>>(&encode(&Vec::from_iter((0..1000).map(|_| nested(200))))).is_ok());
}

/// A shard's entries claim to be so many, and so large.
#[test]
fn a_block_of_a_snapshot_allocates_for_the_entries_that_it_has() {
    let collection: Sharded<u8, Option<[u8; 1024]>> = Sharded::new();
    let table = StateTable::of::<Sharded<u8, Option<[u8; 1024]>>>();
    // SAFETY: it's of this type, and borrowed.
    let captured = unsafe { (table.capture)(std::ptr::from_ref(&collection).cast()) };
    let handles = captured.unwrap().unwrap().collections;
    let entries = 50_000_u64;
    let block = [encode(&entries), vec![0; 2 * entries as usize]].concat();
    let (filled, most) = most_allocated(|| handles[0].fill(&block));
    assert_eq!((filled, collection.len()), (Ok(Ok(())), 1));
    // What they take in memory, and not what as many of the same key would have as places in a table.
    assert!(most < 3 * entries as usize * size_of::<(u8, Option<[u8; 1024]>)>() / 2, "{most}");
}
