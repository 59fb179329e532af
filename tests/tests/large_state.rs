//! A large world under continuous calls from two threads: upgraded, rolled back, upgraded again. Each entity is compared
//! after each step with what it must be by then.
//!
//! It prints what callers have waited for, with the same without a swap beside it, how long the sweep took, and how much
//! memory. `ci/migration` runs it optimized, with as many entities as `LIVESWAP_ENTITIES` says; here, a few thousand,
//! what is tested is that nothing is lost.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::world::Realm;
use liveswap_tests::Host;
use liveswap_tests::crowd::{Account, CALLERS};
use liveswap_tests::world::{self, figures, migration, realm, schema, wait_until_swept};

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
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
    let account = Account::new(entities);
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
