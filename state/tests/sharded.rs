//! A sharded collection is a map: whatever is done with it, alone or by many threads, it holds what a plain one would.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use liveswap_state::sharded::Handle;
use liveswap_state::table::StateTable;
use liveswap_state::{Encoder, Sharded, State};
use proptest::prelude::*;

/// The collection as the engine has it.
fn handle<T: State + Send + Sync>(collection: &T) -> Handle {
    let table = StateTable::of::<T>();
    // SAFETY: it's of this type, and borrowed.
    let captured = unsafe { (table.capture)(std::ptr::from_ref(collection).cast()) };
    captured.unwrap().unwrap().collections.swap_remove(0)
}

fn entries(collection: &Sharded<u32, u64>) -> BTreeMap<u32, u64> {
    let mut entries = BTreeMap::new();
    collection.for_each(|&key, &value| assert_eq!(entries.insert(key, value), None, "{key} was seen twice"));
    entries
}

#[derive(Clone, Debug)]
enum Operation {
    Insert(u32, u64),
    InsertMany(u32, u32),
    Remove(u32),
    RemoveMany(u32, u32),
    Update(u32, u64),
    UpdateOrInsert(u32, u64),
    Read(u32),
    UpdateAll(u64),
    Retain(u64),
    Clear,
}

fn operations() -> impl Strategy<Value = Operation> {
    let key = || 0..20_000_u32;
    prop_oneof![
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Operation::Insert(key, value)),
        6 => (key(), 1000..6000_u32).prop_map(|(first, count)| Operation::InsertMany(first, count)),
        4 => key().prop_map(Operation::Remove),
        2 => (key(), 1..3000_u32).prop_map(|(first, count)| Operation::RemoveMany(first, count)),
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Operation::Update(key, value)),
        4 => (key(), any::<u64>()).prop_map(|(key, value)| Operation::UpdateOrInsert(key, value)),
        4 => key().prop_map(Operation::Read),
        1 => any::<u64>().prop_map(Operation::UpdateAll),
        1 => (2..5_u64).prop_map(Operation::Retain),
        1 => Just(Operation::Clear),
    ]
}

/// Does it with both, and compares what they answer.
fn apply(collection: &Sharded<u32, u64>, oracle: &mut HashMap<u32, u64>, operation: &Operation) {
    let add = |value: &mut u64, more: u64| {
        *value = value.wrapping_add(more);
        *value
    };
    match *operation {
        Operation::Insert(key, value) => assert_eq!(collection.insert(key, value), oracle.insert(key, value)),
        Operation::InsertMany(first, count) => {
            for key in first..first + count {
                let value = u64::from(key) << 7;
                assert_eq!(collection.insert(key, value), oracle.insert(key, value));
            }
        }
        Operation::Remove(key) => assert_eq!(collection.remove(&key), oracle.remove(&key)),
        Operation::RemoveMany(first, count) => {
            for key in first..first + count {
                assert_eq!(collection.remove(&key), oracle.remove(&key));
            }
        }
        Operation::Update(key, more) => {
            let expected = oracle.get_mut(&key).map(|value| add(value, more));
            assert_eq!(collection.update(&key, |value| add(value, more)), expected);
        }
        Operation::UpdateOrInsert(key, more) => {
            let expected = add(oracle.entry(key).or_insert(5), more);
            assert_eq!(collection.update_or_insert(key, || 5, |value| add(value, more)), expected);
        }
        Operation::Read(key) => {
            assert_eq!(collection.get(&key), oracle.get(&key).copied());
            assert_eq!(collection.contains_key(&key), oracle.contains_key(&key));
        }
        Operation::UpdateAll(more) => {
            collection.for_each_mut(|_, value| *value = value.wrapping_add(more));
            oracle.values_mut().for_each(|value| *value = value.wrapping_add(more));
        }
        Operation::Retain(divisor) => {
            collection.retain(|key, value| (u64::from(*key) + *value) % divisor != 0);
            oracle.retain(|key, value| (u64::from(*key) + *value) % divisor != 0);
        }
        Operation::Clear => {
            collection.clear();
            oracle.clear();
        }
    }
    assert_eq!((collection.len(), collection.is_empty()), (oracle.len(), oracle.is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn it_answers_as_a_plain_map_does(operations in prop::collection::vec(operations(), 1..25)) {
        let (collection, mut oracle) = (Sharded::new(), HashMap::new());
        for operation in &operations {
            apply(&collection, &mut oracle, operation);
        }
        prop_assert_eq!(entries(&collection), oracle.into_iter().collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn it_grows_by_a_shard_at_a_time_and_no_shard_gets_large() {
    let collection: Sharded<u32, u64> = Sharded::new();
    let shards = handle(&collection);
    let mut before = shards.count();
    for key in 0..50_000 {
        collection.insert(key, u64::from(key));
        let now = shards.count();
        assert!(now - before <= 1, "{} shards more for one entry", now - before);
        before = now;
    }
    // Were they as full as can be, 250 would do; were they half empty, 500.
    assert!((250..600).contains(&before), "{before} shards");
    assert_eq!(entries(&collection), (0..50_000).map(|key| (key, u64::from(key))).collect());
    assert_eq!(collection.len(), 50_000);
}

#[test]
fn it_is_made_of_entries_and_takes_more() {
    let mut collection = Sharded::from_iter((0..10_u32).map(|key| (key, u64::from(key))));
    collection.extend([(3, 30), (10, 100)]);
    assert_eq!((collection.len(), collection.get(&3), collection.get(&10)), (11, Some(30), Some(100)));
    let texts = Sharded::from_iter([("a".to_owned(), 1_u8)]);
    assert_eq!(texts.get("a"), Some(1), "a key is found by what it is borrowed as");
}

#[test]
fn many_threads_at_once_lose_nothing_and_see_what_stays_exactly_once() {
    const WRITERS: u32 = 3;
    const OWN: u32 = 6000;
    const STAYS: u32 = 3000;
    const SHARED: u32 = 50;
    let collection: Sharded<u32, u64> = (0..STAYS).map(|key| (key, 7)).collect();
    let (is_over, passes) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writers: Vec<_> = (1..=WRITERS)
            .map(|writer| {
                let collection = &collection;
                scope.spawn(move || {
                    let first = writer * 100_000;
                    for key in first..first + OWN {
                        assert_eq!(collection.insert(key, 1), None);
                        assert_eq!(collection.update(&key, |value| std::mem::replace(value, 2)), Some(1));
                        collection.update_or_insert(50_000 + key % SHARED, || 0, |count| *count += 1);
                        if key % 2 == 0 {
                            assert_eq!(collection.remove(&key), Some(2));
                        }
                        assert_eq!(collection.get(&(key % STAYS)), Some(7));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let mut seen = vec![0_u8; STAYS as usize];
                let mut others = std::collections::HashSet::new();
                let look = |&key: &u32, &value: &u64| match seen.get_mut(key as usize) {
                    Some(times) => {
                        *times += 1;
                        assert_eq!(value, 7);
                    }
                    None => assert!(others.insert(key), "{key} was seen twice"),
                };
                collection.for_each(look);
                assert!(seen.iter().all(|times| *times == 1));
                passes.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
            }
        });
        // Whether they succeeded or not, so that the other thread ends.
        let ended: Vec<_> = writers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    assert!(passes.into_inner() > 0);
    assert!(handle(&collection).count() > 16, "it has grown meanwhile");
    let entries = entries(&collection);
    assert_eq!(entries.len() as u32, STAYS + WRITERS * OWN / 2 + SHARED);
    let counted: u64 = (50_000..50_000 + SHARED).map(|key| entries[&key]).sum();
    assert_eq!(counted, u64::from(WRITERS * OWN));
}

#[test]
fn each_value_is_dropped_once() {
    let token = Arc::new(0_u8);
    let has = |count: usize| assert_eq!(Arc::strong_count(&token), 1 + count);
    let collection: Sharded<u32, Arc<u8>> = Sharded::new();
    for key in 0..10_000 {
        collection.insert(key, token.clone());
    }
    has(10_000);
    drop(collection.insert(5, token.clone()));
    has(10_000);
    drop(collection.remove(&5));
    has(9999);
    collection.retain(|key, _| key % 2 == 0);
    has(5000);
    collection.update_or_insert(5, || token.clone(), |_| ());
    has(5001);
    drop(collection);
    has(0);
}

/// Whoever is the last.
#[test]
fn what_the_engine_still_holds_is_dropped_with_its_handle() {
    let token = Arc::new(0_u8);
    let collection: Sharded<u32, Arc<u8>> = (0..5000).map(|key| (key, token.clone())).collect();
    let (first, second) = (handle(&collection), handle(&collection));
    drop(first);
    drop(collection);
    assert_eq!(Arc::strong_count(&token), 5001);
    drop(second);
    assert_eq!(Arc::strong_count(&token), 1);
}

#[test]
fn values_stay_aligned_as_far_as_they_ask() {
    #[derive(State)]
    #[repr(align(128))]
    struct Padded(u64);
    let collection: Sharded<u32, Padded> = (0..8000).map(|key| (key, Padded(key.into()))).collect();
    let mut sum = 0;
    collection.for_each(|_, value| {
        assert!(std::ptr::from_ref(value).is_aligned());
        sum += value.0;
    });
    assert_eq!(sum, 8000 * 7999 / 2);
}

#[test]
fn a_panic_of_what_is_passed_leaves_the_entry_as_it_is_then() {
    let collection: Sharded<u32, u64> = (0..100).map(|key| (key, 1)).collect();
    let panics = |work: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
    panics(&|| {
        collection.update(&5, |value| {
            *value = 2;
            panic!("after the change")
        });
    });
    panics(&|| collection.update_or_insert(1000, || panic!("before there is one"), |_| ()));
    panics(&|| collection.for_each(|_, _| panic!("while looking")));
    panics(&|| collection.retain(|key, _| if *key == 50 { panic!("in the middle") } else { true }));
    assert_eq!((collection.len(), collection.get(&5), collection.get(&1000)), (100, Some(2), None));
    collection.insert(1000, 3);
    assert_eq!(collection.remove(&1000), Some(3));
}

thread_local! {
    static TROUBLE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// A key whose hash panics if one asks for trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, State)]
struct Touchy(u64);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert_ne!(TROUBLE.get(), Some(self.0), "trouble");
        state.write_u64(self.0);
    }
}

#[test]
fn a_key_whose_hash_panics_while_a_shard_is_divided_costs_no_entry() {
    let collection: Sharded<Touchy, u64> = (0..3000).map(|key| (Touchy(key), key)).collect();
    TROUBLE.set(Some(7));
    let (mut key, mut panics) = (3000, 0);
    while panics < 3 && key < 100_000 {
        panics += u32::from(catch_unwind(AssertUnwindSafe(|| collection.insert(Touchy(key), key))).is_err());
        key += 1;
    }
    TROUBLE.set(None);
    assert_eq!(panics, 3, "no shard with that key was divided");
    let lost: Vec<_> = (0..key).filter(|key| collection.get(&Touchy(*key)) != Some(*key)).collect();
    // A key that is being inserted while its shard's own table grows is not in it yet.
    assert!(lost.len() <= 3 && lost.iter().all(|key| *key >= 3000), "{lost:?}");
}

/// Two that have the same collection might give it different types.
#[test]
fn a_collection_that_is_shared_is_refused_as_bytes() {
    let collection: Arc<Sharded<u32, u64>> = Arc::default();
    let mut encoder = Encoder::new();
    (collection.clone(), collection).encode(&mut encoder);
    let error = encoder.finish().unwrap_err();
    assert!(error.to_string().contains("Sharded"), "{error}");
}
