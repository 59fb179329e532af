//! A snapshot has a collection as it was at one moment, exactly, whatever calls do meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use liveswap_state::sharded::{Blocks, Handle};
use liveswap_state::table::StateTable;
use liveswap_state::{CodecError, Decoder, Encoder, Sharded, State};
use proptest::prelude::*;

type Collection = Sharded<u32, u64>;

fn handle<T: State + Send + Sync>(collection: &T) -> Handle {
    let table = StateTable::of::<T>();
    // SAFETY: it's of this type, and borrowed.
    let captured = unsafe { (table.capture)(std::ptr::from_ref(collection).cast()) };
    captured.unwrap().unwrap().collections.swap_remove(0)
}

fn entries(collection: &Collection) -> BTreeMap<u32, u64> {
    let mut entries = BTreeMap::new();
    collection.for_each(|&key, &value| assert_eq!(entries.insert(key, value), None));
    entries
}

fn insert_all(collection: &Collection, keys: std::ops::Range<u32>, value: u64) {
    for key in keys {
        collection.insert(key, value);
    }
}

fn begin(handle: &Handle, ordinal: u32) -> Arc<Blocks> {
    let blocks = Arc::new(Blocks::default());
    // SAFETY: the code of this test stays.
    unsafe { handle.begin_capture(ordinal, blocks.clone()) };
    blocks
}

/// Writes down what no call has.
fn finish(handle: &Handle, blocks: &Blocks) -> Vec<(u32, Vec<u8>)> {
    let mut taken = blocks.take().unwrap();
    let mut index = 0;
    while index < handle.count() {
        handle.capture(index);
        taken.extend(blocks.take().unwrap());
        index += 1;
    }
    handle.end_capture();
    taken
}

/// A collection of what was written down. Each entry must have been, once.
fn restored(blocks: &[(u32, Vec<u8>)]) -> BTreeMap<u32, u64> {
    let collection = Collection::new();
    let handle = handle(&collection);
    let mut before = 0;
    for (_, block) in blocks {
        assert_eq!(handle.fill(block), Ok(Ok(())));
        let mut decoder = Decoder::new(block);
        before += decoder.length().unwrap();
        assert_eq!(collection.len(), before, "an entry was written down twice");
    }
    entries(&collection)
}

#[test]
fn what_no_call_touches_is_written_down_shard_by_shard() {
    let collection: Collection = (0..9000).map(|key| (key, u64::from(key) * 3)).collect();
    let handle = handle(&collection);
    let blocks = begin(&handle, 7);
    assert_eq!(blocks.take(), Ok(vec![]), "nothing at once");
    let blocks = finish(&handle, &blocks);
    assert_eq!(blocks.len(), handle.count());
    assert!(blocks.iter().all(|(ordinal, _)| *ordinal == 7));
    assert_eq!(restored(&blocks), entries(&collection));
}

#[test]
fn who_changes_a_shard_writes_it_down_first_and_only_once() {
    // So few for so many shards that none is divided, which would write down a second one.
    let collection: Collection = (0..1000).map(|key| (key, 1)).collect();
    let (handle, before) = (handle(&collection), entries(&collection));
    let blocks = begin(&handle, 0);
    assert_eq!((collection.get(&5), collection.len()), (Some(1), 1000));
    assert_eq!(blocks.take(), Ok(vec![]), "who only looks writes nothing down");
    collection.insert(5, 2);
    collection.remove(&5);
    let written = blocks.take().unwrap();
    assert_eq!(written.len(), 1);
    collection.clear();
    let written = [written, finish(&handle, &blocks)].concat();
    assert_eq!(restored(&written), before);
    assert_eq!(blocks.take(), Ok(vec![]));
    collection.insert(1, 1);
    assert_eq!(blocks.take(), Ok(vec![]), "after its end nobody does");
}

#[test]
fn a_shard_that_is_divided_meanwhile_is_written_down_once() {
    let collection: Collection = (0..3000).map(|key| (key, 1)).collect();
    let (handle, before) = (handle(&collection), entries(&collection));
    let blocks = begin(&handle, 0);
    insert_all(&collection, 3000..20_000, 2);
    assert!(handle.count() > 40);
    assert_eq!(restored(&finish(&handle, &blocks)), before);
}

#[test]
fn a_snapshot_that_was_given_up_does_not_show_in_the_next() {
    let collection: Collection = (0..3000).map(|key| (key, 1)).collect();
    let handle = handle(&collection);
    let given_up = begin(&handle, 0);
    handle.capture(0);
    collection.insert(1, 5);
    handle.end_capture();
    collection.insert(2, 6);
    given_up.take().unwrap();
    let before = entries(&collection);
    let blocks = begin(&handle, 0);
    insert_all(&collection, 0..3000, 9);
    assert_eq!(restored(&finish(&handle, &blocks)), before);
    assert_eq!(given_up.take(), Ok(vec![]));
}

#[test]
fn it_is_exact_while_threads_go_on_writing() {
    const THREADS: u32 = 2;
    let collection: Collection = (0..6000).map(|key| (key, 0)).collect();
    let handle = handle(&collection);
    for round in 0..5_u32 {
        let (before, is_over) = (entries(&collection), AtomicBool::new(false));
        let blocks = begin(&handle, round);
        let written = thread::scope(|scope| {
            for thread in 0..THREADS {
                let (collection, is_over) = (&collection, &is_over);
                scope.spawn(move || {
                    for turn in 0.. {
                        let key = (turn * 7919 + thread * 31) % 6000;
                        collection.update(&key, |value| *value += 1);
                        collection.remove(&((key + 1) % 6000));
                        collection.update_or_insert((key + 1) % 6000, || 0, |value| *value += 1);
                        collection.insert(10_000 + round * 1000 + turn % 1000 + thread * 100_000, 1);
                        if is_over.load(Ordering::Relaxed) && turn > 2000 {
                            break;
                        }
                    }
                });
            }
            let written = finish(&handle, &blocks);
            is_over.store(true, Ordering::Relaxed);
            written
        });
        assert_eq!(restored(&written), before, "round {round}");
    }
}

/// A value that can't be kept as bytes, at times.
#[derive(State)]
struct Moment(std::time::SystemTime);

/// A value whose own codec panics at times.
struct Explosive(u8);

// SAFETY: a number.
unsafe impl State for Explosive {
    const FINGERPRINT: liveswap_state::Fingerprint =
        liveswap_state::Fingerprint::of("Explosive").with(u8::FINGERPRINT);
    const NAME: &'static str = "Explosive";

    fn encode(&self, encoder: &mut Encoder) {
        assert_ne!(self.0, 13, "it has exploded");
        self.0.encode(encoder);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        u8::decode(decoder).map(Self)
    }
}

#[test]
fn a_value_that_can_not_be_written_down_fails_the_snapshot_and_not_the_call() {
    let before_1970 = Moment(std::time::UNIX_EPOCH - std::time::Duration::from_secs(1));
    let collection = Sharded::from_iter([(1_u8, before_1970)]);
    let blocks = begin(&handle(&collection), 0);
    assert!(collection.remove(&1).is_some());
    assert!(blocks.take().unwrap_err().contains("1970"));
    handle(&collection).end_capture();

    let collection = Sharded::from_iter([(1_u8, Explosive(13))]);
    let blocks = begin(&handle(&collection), 0);
    assert!(collection.insert(1, Explosive(1)).is_some());
    let why = blocks.take().unwrap_err();
    assert!(why.contains("it has exploded"), "{why}");
    handle(&collection).end_capture();
}

#[test]
fn a_block_of_another_type_or_cut_short_is_refused() {
    let collection: Collection = (0..100).map(|key| (key, u64::MAX)).collect();
    let source = handle(&collection);
    let blocks = begin(&source, 0);
    let blocks = finish(&source, &blocks);
    let whole = &blocks[0].1;
    let target = Collection::new();
    for length in 0..whole.len() {
        assert!(handle(&target).fill(&whole[..length]).unwrap().is_err(), "{length}");
    }
    assert!(target.is_empty(), "all of a block, or none");
    let texts: Sharded<String, String> = Sharded::new();
    assert!(handle(&texts).fill(whole).unwrap().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_is_exact_whatever_is_done_meanwhile(
        count in 0..5000_u32,
        changes in prop::collection::vec((0..6000_u32, 0..5_u8, any::<u64>()), 0..60),
        captures in prop::collection::vec(0..40_usize, 0..20),
    ) {
        let collection: Collection = (0..count).map(|key| (key, 1)).collect();
        let handle = handle(&collection);
        let before = entries(&collection);
        let blocks = begin(&handle, 0);
        let mut captures = captures.into_iter();
        for (key, kind, value) in changes {
            match kind {
                0 => insert_all(&collection, key..key + 1, value),
                1 => collection.retain(|other, _| *other != key),
                2 => insert_all(&collection, key..key + 300, value),
                3 => collection.retain(|other, _| other % 5 != key % 5),
                _ => collection.for_each_mut(|_, other| *other ^= value),
            }
            captures.next().into_iter().for_each(|index| handle.capture(index));
        }
        prop_assert_eq!(restored(&finish(&handle, &blocks)), before);
    }
}
