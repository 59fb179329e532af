//! Threads that call into the world without a pause, and keep account of what they have done to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use fixture_api::world::{Realm, Thing};
use hdrhistogram::Histogram;
use liveswap::Module;

use crate::Host;
use crate::world::realm;

/// How many call at once.
pub const CALLERS: usize = 2;

/// What callers have waited for in one phase, in nanoseconds.
pub type Waited = Histogram<u64>;

/// Up to a minute, to three digits.
fn nothing() -> Waited {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

/// What the callers have done: how much each entity has learned.
#[derive(Debug)]
pub struct Account {
    learned: Vec<AtomicU64>,
    /// What a caller does before its first call, given its number.
    begin: fn(usize),
}

impl Account {
    /// Of so many entities, which have learned nothing.
    pub fn new(entities: u64) -> Self {
        Self { learned: (0..entities).map(|_| AtomicU64::new(0)).collect(), begin: |_| () }
    }

    /// Has each caller do something first, such as choosing its processor. It's given the caller's number.
    pub fn beginning(self, begin: fn(usize)) -> Self {
        Self { begin, ..self }
    }

    /// The sum that the world must have.
    pub fn checksum(&self) -> u64 {
        let checksum = |(id, learned): (usize, &AtomicU64)| {
            let thing = Thing { experience: learned.load(Ordering::Relaxed), ..Thing::first(id as u64) };
            thing.checksum(id as u64)
        };
        self.learned.iter().enumerate().map(checksum).fold(0, u64::wrapping_add)
    }

    /// Calls until it's told to stop, and notes how long each call took.
    fn call(&self, realm: &Module<dyn Realm>, number: usize, stop: &AtomicBool) -> Waited {
        (self.begin)(number);
        let count = self.learned.len() as u64;
        let (mut waited, mut mixed) = (nothing(), number as u64 + 1);
        while !stop.load(Ordering::Relaxed) {
            // Xorshift: any order that leaves no shard out.
            mixed ^= mixed << 13;
            mixed ^= mixed >> 7;
            mixed ^= mixed << 17;
            let id = mixed % count;
            let started = Instant::now();
            if mixed & 0x100 == 0 {
                realm.call(|realm| realm.train(id, 1)).expect("it answers").expect("it's there");
                self.learned[id as usize].fetch_add(1, Ordering::Relaxed);
            } else {
                realm.call(|realm| realm.look(id)).expect("it answers").expect("it's there");
            }
            waited.saturating_record(started.elapsed().as_nanos() as u64);
        }
        waited
    }

    /// Runs `work` while callers call; what it returns, and what they have waited for.
    pub fn during<R>(&self, host: &Host, work: impl FnOnce() -> R) -> (R, Waited) {
        /// Also if the work failed.
        struct Stop<'flag>(&'flag AtomicBool);

        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }

        let stop = AtomicBool::new(false);
        let realm = realm(host);
        thread::scope(|scope| {
            let (stop, realm) = (&stop, &realm);
            let callers: Vec<_> =
                (0..CALLERS).map(|number| scope.spawn(move || self.call(realm, number, stop))).collect();
            let stopping = Stop(stop);
            let result = work();
            drop(stopping);
            let mut waited = nothing();
            for caller in callers {
                waited.add(caller.join().expect("it only calls")).expect("both have the same bounds");
            }
            (result, waited)
        })
    }
}
