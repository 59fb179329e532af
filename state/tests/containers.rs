//! No container that may be state asks for a block that is aligned further than what it holds, or than 16 bytes. The
//! engine relies on that: it frees blocks that are aligned further together with the version that allocated them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use liveswap_state::{HashMap, HashSet, Sharded, State};

/// Notes the furthest alignment that this thread has asked for.
struct Recording;

thread_local! {
    static FURTHEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: each request goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        FURTHEST.set(FURTHEST.get().max(layout.align()));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Recording = Recording;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, State)]
#[repr(align(64))]
struct Padded(u64);

#[track_caller]
fn check<T: State>(make: impl FnOnce() -> T) {
    FURTHEST.set(0);
    let made = make();
    let furthest = FURTHEST.replace(0);
    drop(made);
    let allowed = T::FINGERPRINT.alignment().max(16);
    assert!(furthest > 0, "{} allocates something", T::NAME);
    assert!(furthest <= allowed, "{} asks for {furthest}, and {allowed} is allowed", T::NAME);
}

/// Enough for collections to grow several times.
const MANY: u64 = 1000;

macro_rules! check_all {
    ($element:ty, $make:expr) => {
        let many = || (0..MANY).map($make);
        check::<Vec<$element>>(|| many().collect());
        check::<VecDeque<$element>>(|| many().collect());
        check::<BinaryHeap<$element>>(|| many().collect());
        check::<BTreeSet<$element>>(|| many().collect());
        check::<BTreeMap<$element, $element>>(|| many().zip(many()).collect());
        check::<BTreeMap<u8, $element>>(|| (0..=u8::MAX).zip(many()).collect());
        check::<HashSet<$element>>(|| many().collect());
        check::<HashMap<$element, $element>>(|| many().zip(many()).collect());
        check::<Box<$element>>(|| Box::new($make(1)));
        check::<Arc<$element>>(|| Arc::new($make(1)));
        check::<Arc<Mutex<$element>>>(|| Arc::new(Mutex::new($make(1))));
        check::<Sharded<u64, $element>>(|| (0..).zip(many()).collect());
        check::<Sharded<$element, u8>>(|| many().map(|key| (key, 1)).collect());
        check::<Box<RwLock<OnceLock<$element>>>>(Box::default);
        check::<Option<Vec<Vec<$element>>>>(|| Some(vec![many().collect()]));
    };
}

#[test]
fn no_container_asks_for_a_block_that_is_aligned_further_than_what_it_holds() {
    check_all!(u8, |number: u64| number as u8);
    check_all!(u64, |number: u64| number);
    check_all!(u128, |number: u64| u128::from(number));
    check_all!(Padded, Padded);
    check::<String>(|| "text".repeat(100));
    check::<BTreeMap<String, Vec<Padded>>>(|| {
        (0..MANY).map(|number| (number.to_string(), vec![Padded(number)])).collect()
    });
}
