//! The meter of a version: how many calls it has had, how they ended, and how long its own code took for them.
//!
//! Probation judges a version by this. Only versions of modules that have a probation have a meter; a call of any other
//! pays for the look whether there is one.
//!
//! A metered call takes no lock, allocates nothing and writes no line that another thread writes: each thread has a
//! tally of its own, which it alone writes, and which the control thread reads now and then. Only a thread's first call of
//! a version, and its first of a method, make what they need. When the thread ends or moves on to another version, its
//! tally is folded into the meter's: so threads that come and go don't make it grow.
//!
//! **Times.** A thread's first calls of a method are all timed, later ones now and then, and then count for those
//! between. Reading the clock is no system call where the kernel offers its clock to programs. Times go into a histogram
//! of quarter octaves, so a median is known to within an eighth.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::owed;
use crate::lock::lock;

/// How many calls of a method a thread times one by one.
const ALL_TIMED: u64 = 1024;
/// Of how many later ones it times one.
const ONE_IN: u64 = 16;

/// The shortest time that is told apart is 2 to this power, in nanoseconds: 64 ns.
const SHORTEST: u32 = 6;
/// Beyond 2 to this power, in nanoseconds, all times are alike: 17 s.
const LONGEST: u32 = 34;
const PARTS: u32 = 4;
/// One for what is shorter, four for each octave, one for what is longer.
const BUCKETS: usize = ((LONGEST - SHORTEST) * PARTS + 2) as usize;

/// The number of the bucket for a time.
fn bucket(nanoseconds: u64) -> usize {
    if nanoseconds < 1 << SHORTEST {
        return 0;
    }
    let octave = nanoseconds.ilog2();
    if octave >= LONGEST {
        return BUCKETS - 1;
    }
    let part = (nanoseconds >> (octave - PARTS.ilog2())) as u32 & (PARTS - 1);
    (1 + (octave - SHORTEST) * PARTS + part) as usize
}

/// The shortest time that belongs to a bucket.
fn start_of(bucket: usize) -> u64 {
    let Some(place) = (bucket as u32).checked_sub(1) else { return 0 };
    let (octave, part) = (SHORTEST + place / PARTS, place % PARTS);
    u64::from(PARTS + part) << (octave - PARTS.ilog2())
}

/// What one thread has noted of one method. On lines of its own, which no other thread writes.
#[repr(align(128))]
struct Counts {
    calls: AtomicU64,
    panics: AtomicU64,
    errors: AtomicU64,
    timed: [AtomicU64; BUCKETS],
}

/// There is one writer, so this needn't be one step.
fn add(count: &AtomicU64, more: u64) {
    // Relaxed: the numbers stand for themselves; nothing is read or written on the strength of them.
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

impl Counts {
    fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { calls: zero(), panics: zero(), errors: zero(), timed: std::array::from_fn(|_| zero()) }
    }

    /// How many calls the one that begins now stands for in the times; none if it isn't timed.
    fn weight(&self) -> Option<u64> {
        match self.calls.load(Ordering::Relaxed) {
            ..ALL_TIMED => Some(1),
            calls => calls.is_multiple_of(ONE_IN).then_some(ONE_IN),
        }
    }
}

/// What one thread has noted of a version.
struct Tally {
    /// The kernel's number for the thread.
    thread: i32,
    /// By method; made at the first call of each.
    methods: Box<[OnceLock<Box<Counts>>]>,
}

impl Tally {
    fn counts(&self, method: usize) -> &Counts {
        self.methods[method].get_or_init(|| Box::new(Counts::new()))
    }

    fn calls(&self) -> u64 {
        let counts = self.methods.iter().filter_map(OnceLock::get);
        counts.map(|counts| counts.calls.load(Ordering::Relaxed)).sum()
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    /// Its result is an error.
    Error,
    Panic,
}

/// What is known of the calls of one load of a version.
pub(crate) struct Meter {
    methods: usize,
    tallies: Mutex<Tallies>,
}

struct Tallies {
    running: Vec<Arc<Tally>>,
    /// Of threads that have ended or moved on.
    ended: Sums,
}

impl fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Meter").field("methods", &self.methods).finish_non_exhaustive()
    }
}

impl Meter {
    /// Of a version whose interface has so many methods.
    pub(crate) fn new(methods: usize) -> Self {
        let tallies = Tallies { running: Vec::new(), ended: Sums::new(methods) };
        Self { methods, tallies: Mutex::new(tallies) }
    }

    /// What all threads have noted so far.
    pub(crate) fn sums(&self) -> Sums {
        let tallies = lock(&self.tallies);
        let mut sums = tallies.ended.clone();
        tallies.running.iter().for_each(|tally| sums.add(tally));
        sums
    }

    /// How many calls each thread has made to their end: whether it gets on. By the kernel's numbers for the threads.
    pub(crate) fn progress(&self) -> Vec<(i32, u64)> {
        lock(&self.tallies).running.iter().map(|tally| (tally.thread, tally.calls())).collect()
    }

    fn register(&self) -> Arc<Tally> {
        let methods = (0..self.methods).map(|_| OnceLock::new()).collect();
        let tally = Arc::new(Tally { thread: owed::this_thread().id, methods });
        lock(&self.tallies).running.push(tally.clone());
        tally
    }

    fn fold(&self, tally: &Arc<Tally>) {
        let mut tallies = lock(&self.tallies);
        tallies.running.retain(|running| !Arc::ptr_eq(running, tally));
        tallies.ended.add(tally);
    }
}

/// The tally that a thread writes, and the meter that it's for.
struct Kept {
    meter: Arc<Meter>,
    tally: Arc<Tally>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.meter.fold(&self.tally);
    }
}

/// A thread's place for the tally of the version that it entered last.
#[derive(Default)]
pub(super) struct Tallying(RefCell<Option<Kept>>);

impl Tallying {
    /// A call begins: how many calls it stands for in the times, if it's to be timed.
    pub(super) fn begin(&self, meter: &Arc<Meter>, method: usize) -> Option<u64> {
        let mut kept = self.0.borrow_mut();
        if kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(&kept.meter, meter)) {
            *kept = Some(Kept { meter: meter.clone(), tally: meter.register() });
        }
        kept.as_ref().and_then(|kept| kept.tally.counts(method).weight())
    }

    /// It has ended. The thread is inside of the same version still.
    pub(super) fn end(&self, method: usize, outcome: Outcome, timed: Option<(Duration, u64)>) {
        let kept = self.0.borrow();
        let Some(kept) = kept.as_ref() else { return };
        let counts = kept.tally.counts(method);
        add(&counts.calls, 1);
        match outcome {
            Outcome::Good => {}
            Outcome::Error => add(&counts.errors, 1),
            Outcome::Panic => add(&counts.panics, 1),
        }
        if let Some((took, weight)) = timed {
            let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
            add(&counts.timed[bucket(nanoseconds)], weight);
        }
    }
}

/// The beginning of a time that is to be noted.
pub(super) struct Clock {
    weight: u64,
    started: Instant,
}

impl Clock {
    pub(super) fn start(weight: u64) -> Self {
        Self { weight, started: Instant::now() }
    }

    pub(super) fn read(&self) -> (Duration, u64) {
        (self.started.elapsed(), self.weight)
    }
}

/// What all threads together have noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) methods: Vec<MethodSums>,
}

/// The same, of one method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MethodSums {
    pub(crate) calls: u64,
    pub(crate) panics: u64,
    pub(crate) errors: u64,
    timed: [u64; BUCKETS],
}

impl Default for MethodSums {
    fn default() -> Self {
        Self { calls: 0, panics: 0, errors: 0, timed: [0; BUCKETS] }
    }
}

impl MethodSums {
    /// Each number joined with the other's.
    fn join(&mut self, other: &Self, join: impl Fn(u64, u64) -> u64) {
        self.calls = join(self.calls, other.calls);
        self.panics = join(self.panics, other.panics);
        self.errors = join(self.errors, other.errors);
        for (own, other) in self.timed.iter_mut().zip(&other.timed) {
            *own = join(*own, *other);
        }
    }

    /// How many calls the times stand for.
    pub(crate) fn timed(&self) -> u64 {
        self.timed.iter().sum()
    }

    /// The time that half of the calls took at most; none without any that was timed.
    pub(crate) fn median(&self) -> Option<Duration> {
        let half = self.timed() as f64 / 2.0;
        let mut before = 0.0;
        for (number, &count) in self.timed.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = count as f64;
            if before + count >= half {
                let (start, end) = (start_of(number) as f64, start_of(number + 1) as f64);
                let nanoseconds = start + (end - start) * (half - before) / count;
                return Some(Duration::from_nanos(nanoseconds as u64));
            }
            before += count;
        }
        None
    }
}

impl Sums {
    pub(crate) fn new(methods: usize) -> Self {
        Self { methods: vec![MethodSums::default(); methods] }
    }

    fn add(&mut self, tally: &Tally) {
        for (sums, counts) in self.methods.iter_mut().zip(&tally.methods) {
            let Some(counts) = counts.get() else { continue };
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let noted = MethodSums {
                calls: read(&counts.calls),
                panics: read(&counts.panics),
                errors: read(&counts.errors),
                timed: std::array::from_fn(|number| read(&counts.timed[number])),
            };
            sums.join(&noted, |own, other| own + other);
        }
    }

    /// What has been added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (own, earlier) in since.methods.iter_mut().zip(&earlier.methods) {
            own.join(earlier, u64::saturating_sub);
        }
        since
    }

    pub(crate) fn calls(&self) -> u64 {
        self.methods.iter().map(|method| method.calls).sum()
    }

    pub(crate) fn panics(&self) -> u64 {
        self.methods.iter().map(|method| method.panics).sum()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.methods.iter().map(|method| method.errors).sum()
    }

    /// Sums as they would be after so many calls of a method, all of which took so long.
    #[cfg(test)]
    pub(crate) fn with(mut self, method: usize, calls: u64, took: Duration) -> Self {
        let sums = &mut self.methods[method];
        sums.calls += calls;
        sums.timed[bucket(took.as_nanos() as u64)] += calls;
        self
    }

    /// The same, of which so many ended badly.
    #[cfg(test)]
    pub(crate) fn failed(mut self, method: usize, panics: u64, errors: u64) -> Self {
        self.methods[method].panics += panics;
        self.methods[method].errors += errors;
        self
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use std::thread;

    use super::*;

    fn call(tallying: &Tallying, meter: &Arc<Meter>, method: usize, outcome: Outcome) {
        let weight = tallying.begin(meter, method);
        tallying.end(method, outcome, weight.map(|weight| (Duration::from_micros(10), weight)));
    }

    #[test]
    fn each_time_has_a_bucket_and_buckets_follow_one_another() {
        for number in 1..BUCKETS {
            assert_eq!(bucket(start_of(number)), number);
            assert_eq!(bucket(start_of(number) - 1), number - 1);
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
        assert_eq!(start_of(BUCKETS - 1), 1 << LONGEST);
    }

    #[test]
    fn a_median_is_close_to_the_time_that_was_noted() {
        for micros in [1, 3, 10, 50, 700, 12_000, 2_000_000] {
            let took = Duration::from_micros(micros);
            let median = Sums::new(1).with(0, 101, took).methods[0].median().unwrap();
            let ratio = median.as_secs_f64() / took.as_secs_f64();
            assert!((0.85..1.15).contains(&ratio), "{took:?} became {median:?}");
        }
        assert_eq!(MethodSums::default().median(), None);
    }

    /// So the times that later calls stand for don't weigh less than those of the first ones.
    #[test]
    fn all_calls_count_and_the_times_stand_for_all() {
        let (meter, tallying) = (Arc::new(Meter::new(2)), Tallying::default());
        let calls = ALL_TIMED + 10 * ONE_IN;
        (0..calls).for_each(|_| call(&tallying, &meter, 1, Outcome::Good));
        call(&tallying, &meter, 0, Outcome::Error);
        call(&tallying, &meter, 0, Outcome::Panic);
        let sums = meter.sums();
        assert_eq!((sums.calls(), sums.errors(), sums.panics()), (calls + 2, 1, 1));
        assert_eq!((sums.methods[1].timed(), sums.methods[0].timed()), (calls, 2));
        assert_eq!(meter.progress(), [(owed::this_thread().id, calls + 2)]);
    }

    #[test]
    fn threads_that_come_and_go_leave_their_sums_and_nothing_else() {
        let meter = Arc::new(Meter::new(1));
        for _ in 0..50 {
            let meter = meter.clone();
            thread::spawn(move || call(&Tallying::default(), &meter, 0, Outcome::Good)).join().unwrap();
        }
        assert_eq!(meter.sums().calls(), 50);
        assert!(meter.progress().is_empty());
    }

    #[test]
    fn a_thread_that_moves_on_notes_for_the_other_version() {
        let (one, other, tallying) = (Arc::new(Meter::new(1)), Arc::new(Meter::new(1)), Tallying::default());
        let earlier = one.sums();
        for meter in [&one, &other, &one] {
            call(&tallying, meter, 0, Outcome::Good);
        }
        assert_eq!((one.sums().calls(), other.sums().calls()), (2, 1));
        assert_eq!(one.sums().since(&earlier), one.sums());
        assert_eq!(one.sums().since(&one.sums()), earlier);
    }
}
