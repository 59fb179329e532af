//! The bytes of each kind of type, written out: what is in a snapshot today must be read by whatever comes later.
//!
//! Where bincode knows the type too, its own bytes are compared. So the format is bincode's, and another crate of that
//! format can take its place.

#![allow(missing_docs, reason = "what is defined here is there to be compared")]

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap as StdHashMap, VecDeque};
use std::marker::PhantomData;
use std::num::{NonZeroI8, NonZeroU32, NonZeroU64, Wrapping};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use liveswap_state::{CodecError, Decoder, Encoder, HashMap, HashSet, State};

fn encode(value: &(impl State + ?Sized)) -> Vec<u8> {
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

/// The value has these bytes; they make the same value again; cut anywhere, they make none, and neither do more.
#[track_caller]
fn check<T: State>(value: T, expected: &[u8]) {
    assert_eq!(encode(&value), expected, "{}", T::NAME);
    let again = decode::<T>(expected).unwrap_or_else(|error| panic!("{}: {error}", T::NAME));
    assert_eq!(encode(&again), expected, "{}, made of its bytes", T::NAME);
    for length in 0..expected.len() {
        assert!(decode::<T>(&expected[..length]).is_err(), "{}, cut to {length} bytes", T::NAME);
    }
    let longer = [expected, &[0]].concat();
    assert!(
        matches!(decode::<T>(&longer), Err(CodecError::Trailing { found: 1 })),
        "{}, and one more",
        T::NAME
    );
}

/// And bincode has the same for it.
#[track_caller]
fn check_both<T: State + bincode::Encode>(value: T, expected: &[u8]) {
    assert_eq!(bincode_of(&value), expected, "bincode's {}", T::NAME);
    check(value, expected);
}

fn bincode_of(value: impl bincode::Encode) -> Vec<u8> {
    bincode::encode_to_vec(value, bincode::config::standard()).expect("bincode encodes it")
}

#[test]
fn unsigned_numbers_take_as_few_bytes_as_they_need() {
    check_both(0_u8, &[0]);
    check_both(255_u8, &[255]);
    check_both(250_u16, &[250]);
    check_both(251_u16, &[251, 251, 0]);
    check_both(65_535_u16, &[251, 255, 255]);
    check_both(250_u32, &[250]);
    check_both(251_u32, &[251, 251, 0]);
    check_both(65_535_u32, &[251, 255, 255]);
    check_both(65_536_u32, &[252, 0, 0, 1, 0]);
    check_both(u32::MAX, &[252, 255, 255, 255, 255]);
    check_both(250_u64, &[250]);
    check_both(u64::from(u32::MAX) + 1, &[253, 0, 0, 0, 0, 1, 0, 0, 0]);
    check_both(u64::MAX, &[253, 255, 255, 255, 255, 255, 255, 255, 255]);
    check_both(7_u128, &[7]);
    check_both(u128::from(u64::MAX) + 1, &[254, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    check_both(
        u128::MAX,
        &[254, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
    );
    check_both(300_usize, &[251, 44, 1]);
}

#[test]
fn signed_numbers_are_folded_first() {
    check_both(-1_i8, &[255]);
    check_both(0_i16, &[0]);
    check_both(-1_i16, &[1]);
    check_both(1_i32, &[2]);
    check_both(-125_i32, &[249]);
    check_both(125_i32, &[250]);
    check_both(-126_i32, &[251, 251, 0]);
    check_both(i32::MAX, &[252, 254, 255, 255, 255]);
    check_both(i32::MIN, &[252, 255, 255, 255, 255]);
    check_both(i64::MIN, &[253, 255, 255, 255, 255, 255, 255, 255, 255]);
    check_both(-300_isize, &[251, 87, 2]);
    check_both(
        i128::MIN,
        &[254, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255],
    );
}

#[test]
fn other_plain_values_are_as_in_memory() {
    check_both(1.5_f32, &[0, 0, 192, 63]);
    check_both(-0.0_f64, &[0, 0, 0, 0, 0, 0, 0, 128]);
    check_both(f64::from_bits(0x7ff8_0000_0000_0001), &[1, 0, 0, 0, 0, 0, 248, 127]);
    check_both(true, &[1]);
    check_both('a', &[97]);
    check_both('é', &[195, 169]);
    check_both('🦀', &[240, 159, 166, 128]);
    check_both(NonZeroU32::new(300).unwrap(), &[251, 44, 1]);
    check_both(NonZeroI8::new(-2).unwrap(), &[254]);
    check_both(Wrapping(7_u16), &[7]);
    check_both(AtomicBool::new(true), &[1]);
    check_both(AtomicU8::new(200), &[200]);
    check_both(AtomicU32::new(300), &[251, 44, 1]);
    check_both(AtomicI64::new(-2), &[3]);
    check_both((), &[]);
    check_both(PhantomData::<u64>, &[]);
}

#[test]
fn texts_and_sequences_begin_with_their_length() {
    check_both(String::new(), &[0]);
    check_both("hé".to_owned(), &[3, 104, 195, 169]);
    check_both("x".repeat(251), &[&[251, 251, 0], [120; 251].as_slice()].concat());
    check_both(Box::<str>::from("ab"), &[2, 97, 98]);
    check_both(Vec::<u32>::new(), &[0]);
    check_both(vec![1_u32, 300], &[2, 1, 251, 44, 1]);
    check_both(vec![1_u8, 251, 255], &[3, 1, 251, 255]);
    check_both(vec![(); 300], &[251, 44, 1]);
    check_both(vec![vec!["a".to_owned()], vec![]], &[2, 1, 1, 97, 0]);
    check_both(vec![7_u16].into_boxed_slice(), &[1, 7]);
    check_both(VecDeque::from([1_u8, 2]), &[2, 1, 2]);
    check_both(BinaryHeap::from([1_u8, 3]), &[2, 3, 1]);
    check_both(BTreeSet::from([3_u8, 1]), &[2, 1, 3]);
    check_both(BTreeMap::from([(2_u8, "b".to_owned()), (1, "a".to_owned())]), &[2, 1, 1, 97, 2, 1, 98]);
    check(HashMap::from_iter([(300_u16, true)]), &[1, 251, 44, 1, 1]);
    assert_eq!(bincode_of(StdHashMap::from([(300_u16, true)])), [1, 251, 44, 1, 1]);
    check(HashSet::from_iter(["a".to_owned()]), &[1, 1, 97]);
    assert_eq!(bincode_of(std::collections::HashSet::from(["a"])), [1, 1, 97]);
}

#[test]
fn what_is_borrowed_for_a_call_has_the_bytes_of_what_is_owned() {
    assert_eq!(encode("hé"), encode(&"hé".to_owned()));
    assert_eq!(encode([1_u16, 300].as_slice()), encode(&vec![1_u16, 300]));
}

#[test]
fn arrays_and_tuples_follow_each_other_without_a_length() {
    check_both([1_u8, 2, 3], &[1, 2, 3]);
    check_both([300_u16, 1], &[251, 44, 1, 1]);
    check_both([0_u64; 0], &[]);
    check_both((1_u8, 300_u16, 'a'), &[1, 251, 44, 1, 97]);
    check_both((1_u8, 2_u8, 3_u8, 4_u8, 5_u8, 6_u8, 7_u8, 8_u8), &[1, 2, 3, 4, 5, 6, 7, 8]);
    check_both(1_u16..300, &[1, 251, 44, 1]);
}

#[test]
fn a_choice_is_told_by_a_number() {
    check_both(None::<u16>, &[0]);
    check_both(Some(300_u16), &[1, 251, 44, 1]);
    check_both(Some(Some(())), &[1, 1]);
    check_both(Ok::<u8, String>(7), &[0, 7]);
    check_both(Err::<u8, String>("no".to_owned()), &[1, 2, 110, 111]);
}

#[test]
fn what_holds_one_value_has_its_bytes() {
    check_both(Box::new(300_u16), &[251, 44, 1]);
    check_both(Arc::new("a".to_owned()), &[1, 97]);
    check_both(Mutex::new(7_u8), &[7]);
    check_both(RwLock::new(vec![7_u8]), &[1, 7]);
    check(OnceLock::<u8>::new(), &[0]);
    check(OnceLock::from(7_u8), &[1, 7]);
}

#[test]
fn a_lock_that_a_panic_has_poisoned_still_has_its_bytes() {
    let (mutex, lock) = (Mutex::new(7_u8), RwLock::new(8_u8));
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guards = (mutex.lock(), lock.write());
        panic!("with both locked");
    }));
    assert!(mutex.is_poisoned() && lock.is_poisoned());
    assert_eq!((encode(&mutex), encode(&lock)), (vec![7], vec![8]));
}

#[test]
fn times_are_seconds_and_nanoseconds() {
    check_both(Duration::new(300, 5), &[251, 44, 1, 5]);
    check_both(UNIX_EPOCH + Duration::new(1, 999_999_999), &[1, 252, 255, 201, 154, 59]);
    check_both(1_u8..=9, &[1, 9]);
}

#[test]
fn values_that_no_value_has_are_refused() {
    #[track_caller]
    fn refuse<T: State>(bytes: &[u8], expected: &'static str) {
        assert_eq!(decode::<T>(bytes).map(drop), Err(CodecError::Bad { expected }));
    }
    refuse::<bool>(&[2], "bool");
    refuse::<char>(&[255], "char");
    refuse::<String>(&[1, 255], "String");
    refuse::<Option<u8>>(&[2, 0], "Option");
    refuse::<Result<u8, u8>>(&[2, 0], "Result");
    refuse::<NonZeroU64>(&[0], "NonZeroU64");
    refuse::<Duration>(&[1, 252, 0, 202, 154, 59], "Duration");
    refuse::<SystemTime>(&[253, 255, 255, 255, 255, 255, 255, 255, 255, 0], "SystemTime");
    refuse::<Kind>(&[4], "Kind");
    refuse::<u16>(&[252, 0, 0, 1, 0], "u16");
}

#[test]
fn what_means_nothing_elsewhere_has_no_bytes() {
    let refused = |value: &dyn Fn(&mut Encoder)| {
        let mut encoder = Encoder::new();
        value(&mut encoder);
        encoder.finish().unwrap_err()
    };
    let error = refused(&|encoder| Instant::now().encode(encoder));
    assert_eq!(error, CodecError::MemoryOnly { name: "Instant" });
    let error = refused(&|encoder| (UNIX_EPOCH - Duration::from_secs(1)).encode(encoder));
    assert!(error.to_string().contains("1970"), "{error}");
    assert_eq!(decode::<Instant>(&[]).unwrap_err(), CodecError::MemoryOnly { name: "Instant" });
}

#[derive(State, bincode::Encode)]
struct Named {
    number: u16,
    text: String,
}

#[derive(State, bincode::Encode)]
struct Positional(u16, Vec<u8>);

#[derive(State, bincode::Encode)]
struct Unit;

#[derive(State, bincode::Encode)]
struct Pair<A, B> {
    first: A,
    second: B,
}

#[derive(State, bincode::Encode)]
#[repr(u8)]
enum Kind {
    Nothing,
    One(u16),
    Two { left: bool, right: Pair<u8, char> },
    Far = 9,
}

#[derive(State, bincode::Encode)]
struct Tree {
    value: u8,
    children: Vec<Tree>,
}

#[derive(State, bincode::Encode)]
enum List {
    End,
    More(u8, Box<List>),
}

#[derive(State)]
struct Cached {
    #[state(skip)]
    before: OnceLock<Instant>,
    kept: u16,
    #[state(skip)]
    after: Option<String>,
}

#[test]
fn derived_types_are_their_fields_in_order() {
    check_both(Named { number: 300, text: "a".to_owned() }, &[251, 44, 1, 1, 97]);
    check_both(Positional(7, vec![1, 2]), &[7, 2, 1, 2]);
    check_both(Unit, &[]);
    check_both(Pair { first: Unit, second: Some(5_u8) }, &[1, 5]);
    check_both(Pair { first: 'a', second: Pair { first: 1_u8, second: true } }, &[97, 1, 1]);
}

#[test]
fn a_variant_is_told_by_its_place_and_not_by_its_discriminant() {
    check_both(Kind::Nothing, &[0]);
    check_both(Kind::One(300), &[1, 251, 44, 1]);
    check_both(Kind::Two { left: true, right: Pair { first: 7, second: 'b' } }, &[2, 1, 7, 98]);
    check_both(Kind::Far, &[3]);
}

#[test]
fn types_that_contain_themselves_are_nested() {
    let leaf = |value| Tree { value, children: vec![] };
    check_both(Tree { value: 1, children: vec![leaf(2), leaf(3)] }, &[1, 2, 2, 0, 3, 0]);
    check_both(List::More(1, Box::new(List::More(2, Box::new(List::End)))), &[1, 1, 1, 2, 0]);
}

#[test]
fn what_is_skipped_begins_anew() {
    let cached = Cached { before: OnceLock::from(Instant::now()), kept: 300, after: Some("x".to_owned()) };
    check(cached, &[251, 44, 1]);
    let again: Cached = decode(&[7]).unwrap();
    assert_eq!((again.before.get(), again.kept, again.after), (None, 7, None));
}

/// Whatever has a size need not have bytes.
#[test]
fn elements_of_which_all_is_skipped_are_counted_all_the_same() {
    #[derive(State, Default, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
    struct Empty {
        #[state(skip)]
        cache: u64,
    }
    check(vec![Empty::default(); 3], &[3]);
    check(VecDeque::from([Empty::default()]), &[1]);
    check(BTreeSet::from([Empty::default()]), &[1]);
    check(HashSet::from_iter([Empty::default()]), &[1]);
    check(BTreeMap::from([(Empty::default(), ())]), &[1]);
    check(HashMap::from_iter([(Empty::default(), Empty::default())]), &[1]);
}
