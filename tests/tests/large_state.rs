//! A large world under continuous calls from two threads: upgraded, rolled back, upgraded again. Each entity is compared
//! after each step with what it must be by then.
//!
//! It prints what callers have waited for, with the same without a swap beside it, how long the sweep took, and how much
//! memory. `ci/migration` runs it optimized, with as many entities as `LIVESWAP_ENTITIES` says; here, a few thousand,
//! what is tested is that nothing is lost.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::world::{Realm, Thing};
use hdrhistogram::Histogram;
use liveswap::Module;
use liveswap_tests::Host;
use liveswap_tests::world::{self, figures, migration, realm, schema, wait_until_swept};

const CALLERS: u64 = 2;

/// What callers have waited for in one phase, in nanoseconds.
type Waited = Histogram<u64>;

/// Up to a minute, to three digits.
fn nothing() -> Waited {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// The callers' own account: how much each entity has learned.
struct Account {
    learned: Vec<AtomicU64>,
}

impl Account {
    /// The sum that the world must have.
    fn checksum(&self) -> u64 {
        let checksum = |(id, learned): (usize, &AtomicU64)| {
            let thing = Thing { experience: learned.load(Ordering::Relaxed), ..Thing::first(id as u64) };
            thing.checksum(id as u64)
        };
        self.learned.iter().enumerate().map(checksum).fold(0, u64::wrapping_add)
    }

    /// Calls until it's told to stop, and notes how long each call took.
    fn call(&self, realm: &Module<dyn Realm>, number: u64, stop: &AtomicBool) -> Waited {
        let count = self.learned.len() as u64;
        let (mut waited, mut mixed) = (nothing(), number + 1);
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

    /// Runs `work` while callers call.
    fn during<R>(&self, host: &Host, work: impl FnOnce() -> R) -> (R, Waited) {
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

/// The most memory that the process has had since it was asked to forget, and what it has now, in KiB.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("it's there");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("it's a number")
    };
    (number("VmHWM:"), number("VmRSS:"))
}

/// A step that the state takes: what is done, what is then active, and what is printed.
struct Step {
    name: &'static str,
    schema: u32,
    take: fn(&Host),
}

const STEPS: [Step; 3] = [
    Step { name: "upgrade 1 -> 2", schema: 2, take: |host| drop(host.push(version(2))) },
    Step { name: "rollback 2 -> 1", schema: 1, take: |host| drop(host.rollback()) },
    Step { name: "upgrade 1 -> 2", schema: 2, take: |host| drop(host.push(version(2))) },
];

fn version(schema: u32) -> std::path::PathBuf {
    world::fixture(schema).optimized().build()
}

fn run(entities: u64) {
    // Built before anything is measured.
    let _built = [version(1), version(2)];
    let host = Host::of::<dyn Realm>(|builder, _| builder);
    host.push(version(1));
    realm(&host).call(|realm| realm.fill(0, entities)).unwrap();
    let account = Account { learned: (0..entities).map(|_| AtomicU64::new(0)).collect() };
    let length = Duration::from_millis(if entities < 100_000 { 200 } else { 3000 });
    println!("{entities} entities, {CALLERS} callers");
    for Step { name, schema: expected, take } in STEPS {
        let ((), control) = account.during(&host, || thread::sleep(length));
        // From here on, the peak is counted anew.
        fs::write("/proc/self/clear_refs", "5").expect("a process may do that to itself");
        let (_, before) = memory();
        let ((pushed, swept), waited) = account.during(&host, || {
            // So that what a thread pays when it begins isn't taken for a pause.
            thread::sleep(length / 4);
            let started = Instant::now();
            take(&host);
            let pushed = started.elapsed();
            wait_until_swept(&host);
            (pushed, started.elapsed() - pushed)
        });
        let (peak, _) = memory();
        let status = migration(&host);
        let longest = [&waited, &control].map(|waited| microseconds(waited.max()));
        let p99_99 = [&waited, &control].map(|waited| microseconds(waited.value_at_quantile(0.9999)));
        println!(
            "  {name}: longest {:.0} us (control {:.0}, so {:+.0}), p99.99 {:.1} us (control {:.1}), {} calls; pause {} us, \
             {} tries; check and hand-over {:.2} s, sweep {:.2} s; memory {:.2} times",
            longest[0],
            longest[1],
            longest[0] - longest[1],
            p99_99[0],
            p99_99[1],
            waited.len(),
            status.pause_us.expect("it was handed over"),
            status.attempts,
            pushed.as_secs_f64(),
            swept.as_secs_f64(),
            peak as f64 / before as f64,
        );
        let now = figures(&host);
        assert_eq!((schema(&host), now.count), (expected, entities));
        assert_eq!(now.checksum, account.checksum(), "an entity isn't what it must be after {name}");
    }
    host.commit();
    host.wait_until_mapped(1);
}

#[test]
fn every_entity_is_what_it_must_be_after_each_step() {
    let entities = std::env::var("LIVESWAP_ENTITIES").unwrap_or_else(|_| "5000".to_owned());
    for entities in entities.split_whitespace() {
        run(entities.parse().expect("LIVESWAP_ENTITIES holds numbers"));
    }
}
