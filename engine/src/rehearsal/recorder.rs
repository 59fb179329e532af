//! The recorder: some of the calls that are made, as bytes, for rehearsals to make them again.
//!
//! A call mustn't notice. Whether it's recorded is decided by a number of its thread's own; only then are its arguments
//! written down, by the proxy that has them. What was written down is given up if somebody else is about to keep a call
//! at that moment: nobody waits here. How much is kept is bounded, and a method that is called often doesn't push out
//! those that aren't. A method that had arguments once that are too large to be kept isn't recorded again: writing them
//! down has taken its caller's time for nothing.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};

use liveswap_state::{Encoder, MethodSpec};

use super::Rehearsal;
use crate::lock::lock;

/// The most bytes that the arguments of one call may have, and of all that are kept.
const CALL_BYTES_MAX: usize = 64 * 1024;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Keeps the last few calls of a module.
#[derive(Debug)]
pub(crate) struct Recorder {
    every: u32,
    calls_max: usize,
    /// Which methods aren't recorded, in the order of the interface.
    left_out: Box<[bool]>,
    /// Which of them have had a call that was too large.
    too_large: Box<[AtomicBool]>,
    kept: Mutex<Kept>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Counted up from call to call.
    number: u64,
    /// Its place in the host's interface.
    pub(crate) method: usize,
    pub(crate) arguments: Vec<u8>,
}

#[derive(Debug)]
struct Kept {
    /// Those of each method, the oldest first.
    methods: Box<[VecDeque<Recorded>]>,
    calls: usize,
    bytes: usize,
    recorded: u64,
}

thread_local! {
    /// How many calls this thread passes over before it records one. Without a destructor, so that it's one load away.
    static WAIT: Cell<u32> = const { Cell::new(0) };
    /// What the next wait is made of.
    static CHANCE: Cell<u32> = const { Cell::new(0) };
}

impl Recorder {
    /// A recorder for the methods of an interface; none if nothing is to be recorded.
    pub(crate) fn new(rehearsal: &Rehearsal, methods: &[MethodSpec]) -> Option<Self> {
        let is_left_out = |method: &MethodSpec| rehearsal.left_out.iter().any(|name| name == method.name);
        (rehearsal.calls_max > 0).then(|| Self {
            every: rehearsal.record_every.get(),
            calls_max: rehearsal.calls_max,
            left_out: methods.iter().map(is_left_out).collect(),
            too_large: methods.iter().map(|_| AtomicBool::new(false)).collect(),
            kept: Mutex::new(Kept {
                methods: methods.iter().map(|_| VecDeque::new()).collect(),
                calls: 0,
                bytes: 0,
                recorded: 0,
            }),
        })
    }

    /// Whether this thread records the call that it's about to make.
    #[cold]
    pub(crate) fn is_turn(&self) -> bool {
        let wait = WAIT.get();
        if wait > 0 {
            WAIT.set(wait - 1);
            return false;
        }
        // Left to chance, lest a thread that makes its calls in turn records always the same one.
        WAIT.set((u64::from(chance()) % (2 * u64::from(self.every) - 1)) as u32);
        true
    }

    /// Keeps a call whose arguments `encode` writes down.
    pub(crate) fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        if self.left_out[method] || self.is_too_large(method) {
            return;
        }
        let mut encoder = Encoder::new();
        encode(&mut encoder);
        let Ok(arguments) = encoder.finish() else { return };
        if arguments.len() > CALL_BYTES_MAX {
            // Relaxed: whoever sees it late writes one more down.
            self.too_large[method].store(true, Ordering::Relaxed);
            return;
        }
        match self.kept.try_lock() {
            Ok(mut kept) => kept.add(method, arguments, self.calls_max),
            Err(TryLockError::Poisoned(kept)) => kept.into_inner().add(method, arguments, self.calls_max),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    /// Whether a method isn't recorded any more, because a call of it was too large.
    pub(crate) fn is_too_large(&self, method: usize) -> bool {
        self.too_large[method].load(Ordering::Relaxed)
    }

    /// What is kept, the oldest first.
    pub(crate) fn calls(&self) -> Vec<Recorded> {
        let mut calls: Vec<_> = lock(&self.kept).methods.iter().flatten().cloned().collect();
        calls.sort_unstable_by_key(|call| call.number);
        calls
    }
}

impl Kept {
    fn add(&mut self, method: usize, arguments: Vec<u8>, calls_max: usize) {
        self.calls += 1;
        self.bytes += arguments.len();
        self.recorded += 1;
        self.methods[method].push_back(Recorded { number: self.recorded, method, arguments });
        while self.calls > calls_max {
            self.forget(VecDeque::len);
        }
        while self.bytes > BYTES_MAX {
            self.forget(|calls| calls.iter().map(|call| call.arguments.len()).sum());
        }
    }

    /// Forgets the oldest call of the method that takes the most.
    fn forget(&mut self, takes: impl Fn(&VecDeque<Recorded>) -> usize) {
        let most = self.methods.iter_mut().max_by_key(|calls| takes(calls));
        if let Some(forgotten) = most.and_then(VecDeque::pop_front) {
            self.calls -= 1;
            self.bytes -= forgotten.arguments.len();
        }
    }
}

/// Xorshift: it needn't be good, but different.
fn chance() -> u32 {
    CHANCE.with(|state| {
        let mut mixed = state.get();
        if mixed == 0 {
            // Another one for each thread.
            mixed = std::ptr::from_ref(state).addr() as u32 | 1;
        }
        mixed ^= mixed << 13;
        mixed ^= mixed >> 17;
        mixed ^= mixed << 5;
        state.set(mixed);
        mixed
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use liveswap_state::{Access, Fingerprint};

    use super::*;

    const METHODS: [MethodSpec; 3] = [method("often"), method("seldom"), method("secret")];

    const fn method(name: &'static str) -> MethodSpec {
        MethodSpec { name, access: Access::Shared, fingerprint: Fingerprint::of(name) }
    }

    fn recorder(calls: usize, every: u32) -> Recorder {
        let every = NonZeroU32::new(every).unwrap();
        let rehearsal = Rehearsal::new().calls_max(calls).record_every(every).leave_out("secret");
        Recorder::new(&rehearsal, &METHODS).unwrap()
    }

    fn kept(recorder: &Recorder) -> Vec<(usize, Vec<u8>)> {
        recorder.calls().into_iter().map(|call| (call.method, call.arguments)).collect()
    }

    #[test]
    fn a_frequent_method_pushes_out_its_own_calls_only() {
        let recorder = recorder(4, 1);
        recorder.record(1, |encoder| encoder.raw(b"a"));
        for number in 0..100 {
            recorder.record(0, |encoder| encoder.raw(&[number]));
        }
        recorder.record(1, |encoder| encoder.raw(b"b"));
        assert_eq!(kept(&recorder), [(1, b"a".to_vec()), (0, vec![98]), (0, vec![99]), (1, b"b".to_vec())]);
    }

    #[test]
    fn bytes_are_bounded_for_each_call_and_in_all() {
        let recorder = recorder(1000, 1);
        recorder.record(1, |encoder| encoder.raw(&[0; CALL_BYTES_MAX + 1]));
        recorder.record(1, |_| panic!("the next one's arguments aren't even looked at"));
        assert!(recorder.calls().is_empty() && recorder.is_too_large(1) && !recorder.is_too_large(0));
        for _ in 0..100 {
            recorder.record(0, |encoder| encoder.raw(&[0; CALL_BYTES_MAX]));
        }
        assert_eq!(recorder.calls().len(), BYTES_MAX / CALL_BYTES_MAX);
    }

    #[test]
    fn what_is_left_out_has_no_bytes_or_is_in_somebodys_hands_is_not_kept() {
        let recorder = recorder(4, 1);
        recorder.record(2, |_| panic!("its arguments aren't even looked at"));
        recorder.record(0, |encoder| encoder.refuse("Instant"));
        let held = lock(&recorder.kept);
        recorder.record(0, |encoder| encoder.raw(b"a"));
        drop(held);
        assert!(recorder.calls().is_empty());
        assert!(Recorder::new(&Rehearsal::new().calls_max(0), &METHODS).is_none());
    }

    #[test]
    fn one_of_so_many_calls_is_recorded_and_not_always_the_same() {
        let recorder = recorder(4, 16);
        let turns: Vec<usize> = (0..160_000).filter(|_| recorder.is_turn()).collect();
        assert!((9_000..11_000).contains(&turns.len()), "{}", turns.len());
        for remainder in 0..16 {
            assert!(turns.iter().any(|turn| turn % 16 == remainder), "{remainder}");
        }
        let each = self::recorder(4, 1);
        // Whatever the last one has left to wait for.
        while !each.is_turn() {}
        assert!((0..100).all(|_| each.is_turn()));
    }
}
