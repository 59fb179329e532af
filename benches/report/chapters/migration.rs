//! What a change of the state's shape costs those who call meanwhile, against how much state there is.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::world::Realm;
use liveswap::status::MigrationStatus;
use liveswap_tests::Host;
use liveswap_tests::crowd::{Account, CALLERS, Waited};
use liveswap_tests::world::{self, figures, migration, realm, schema, wait_until_swept};

use crate::figure::{Chapter, Figure, Table, Target, number};
use crate::measure::median;
use crate::measure::pinned;
use crate::options::Options;
use crate::output::chart::Chart;
use crate::peers::{erlang, restart};

/// A number of entities, and how often their shape changes in a round.
const WORLDS: [(u64, usize); 3] = [(10_000, 5), (100_000, 2), (1_000_000, 1)];

/// How long calls go on before each change.
const BEFORE: Duration = Duration::from_millis(100);

/// What one change came to.
struct Change {
    pause: f64,
    attempts: u32,
    /// From being asked for until the new shape serves: mostly the check.
    check: f64,
    sweep: f64,
    waited: Waited,
    /// The same calls without a change.
    control: Waited,
}

pub(crate) fn measure(options: &Options) -> Chapter {
    // All of them are there at once, and take turns.
    let mut worlds = WORLDS.map(|(entities, changes)| (World::new(entities), changes));
    // An even number, so that as many are upgrades as are rollbacks.
    for _ in 0..options.either(4, 20) {
        for (world, changes) in &mut worlds {
            (0..*changes).for_each(|_| world.change());
        }
    }
    let worlds = worlds.map(|(world, _)| (world.entities, world.finish()));

    let (mut shown, mut rows, mut line) = (Vec::new(), Vec::new(), Vec::new());
    for (entities, changes) in &worlds {
        let pause = Figure::new(name(*entities), of(changes, |change| change.pause), "µs");
        line.push((*entities as f64, pause.value.max(1.0)));
        shown.push(pause);
        rows.push((format!("{entities} entities, {} changes", changes.len()), row(changes)));
    }
    let (least, most) = (shown[0].value, shown.pop().expect("there are worlds"));
    let ratio = most.value / least.max(1.0);
    shown.push(most.clone().target(Target::ValueAtMost(1000.0)));
    let flat = Figure::new(format!("{}, beside the smallest", most.name), most.value, "µs");
    shown.push(flat.compared(name(WORLDS[0].0), ratio).target(Target::RatioAtMost(1.5)));
    for (entities, changes) in &worlds {
        let beyond = of(changes, |change| longest(&change.waited) - longest(&change.control));
        shown.push(Figure::new(
            format!("longest call beyond the control, {entities} entities"),
            beyond,
            "µs",
        ));
        let sweep = of(changes, |change| change.sweep);
        shown.push(Figure::new(format!("sweep of {entities} entities, with callers"), sweep * 1000.0, "ms"));
        let check = of(changes, |change| change.check);
        shown.push(Figure::new(format!("check of {entities} entities, with callers"), check * 1000.0, "ms"));
    }

    let mut lines = vec![("liveswap".to_owned(), line)];
    let mut not_run = Vec::new();
    for (name, peer) in
        [("Erlang/OTP, change_code", &erlang::PEER), ("a restart with a snapshot", &restart::PEER)]
    {
        match peer.measure(options) {
            Ok(measured) => lines.push((name.to_owned(), measured.pauses)),
            Err(reason) => not_run.push(reason),
        }
    }
    Chapter {
        title: "A change of the state's shape",
        text: format!(
            "A world of entities becomes one of another schema, and back: each entity gets a field more and one of another \
             type. {CALLERS} pinned threads call meanwhile without a break, and in the end every entity is what it must be. \
             The pause is the engine's own: for how long the hand-over lets nobody into the state, a median over upgrades \
             and rollbacks. Worlds of all sizes take turns. Beside a call's times stand those of the same calls just after, \
             for as long, without a change. Most of a change is check and sweep, which go on while calls do."
        ),
        figures: shown,
        tables: vec![Table {
            title: "Calls during a change, and without one (medians over the changes)".to_owned(),
            columns: [
                "pause, longest",
                "tries, most",
                "longest call",
                "control",
                "p99.99",
                "control",
                "p99",
                "control",
            ]
            .map(str::to_owned)
            .to_vec(),
            rows,
        }],
        charts: vec![Chart {
            title: "For how long nobody is answered while the state's shape changes".to_owned(),
            across: "entities",
            up: "µs",
            lines,
        }],
        not_run,
        ..Chapter::default()
    }
}

fn name(entities: u64) -> String {
    format!("pause, {entities} entities")
}

/// A world that is changed there and back, by turns.
struct World {
    host: Host,
    account: Account,
    entities: u64,
    other: PathBuf,
    changes: Vec<Change>,
}

impl World {
    fn new(entities: u64) -> Self {
        let [first, other] = [1, 2].map(|schema| world::fixture(schema).optimized().build());
        let host = Host::of::<dyn Realm>(|builder, _| builder);
        host.push(first);
        realm(&host).call(|realm| realm.fill(0, entities)).expect("it's filled");
        let account = Account::new(entities).beginning(pinned::stay_on_one_of_all);
        Self { host, account, entities, other, changes: Vec::new() }
    }

    fn change(&mut self) {
        let Self { host, account, other, changes, .. } = self;
        let is_upgrade = changes.len().is_multiple_of(2);
        let begun = Instant::now();
        let ((check, sweep), waited) = account.during(host, || {
            // So that what a thread pays when it begins isn't taken for a pause.
            thread::sleep(BEFORE);
            let started = Instant::now();
            if is_upgrade {
                host.push(&**other);
            } else {
                host.rollback();
            }
            let serves = started.elapsed();
            wait_until_swept(host);
            (serves.as_secs_f64(), (started.elapsed() - serves).as_secs_f64())
        });
        // The longer one looks, the longer is the longest.
        let length = begun.elapsed();
        let ((), control) = account.during(host, || thread::sleep(length));
        assert_eq!(schema(host), if is_upgrade { 2 } else { 1 });
        let MigrationStatus { pause_us, attempts, .. } = migration(host);
        let pause = pause_us.expect("it was handed over") as f64;
        changes.push(Change { pause, attempts, check, sweep, waited, control });
    }

    /// What it came to, if no entity was lost.
    fn finish(self) -> Vec<Change> {
        let now = figures(&self.host);
        let expected = (self.entities, self.account.checksum());
        assert_eq!((now.count, now.checksum), expected, "an entity isn't what it must be");
        self.changes
    }
}

fn of(changes: &[Change], figure: impl Fn(&Change) -> f64) -> f64 {
    median(changes.iter().map(figure))
}

/// In microseconds.
fn longest(waited: &Waited) -> f64 {
    waited.max() as f64 / 1000.0
}

fn row(changes: &[Change]) -> Vec<String> {
    let microseconds = |value: f64| format!("{} µs", number(value));
    let pause = changes.iter().map(|change| change.pause).fold(0.0, f64::max);
    let attempts = changes.iter().map(|change| change.attempts).max().unwrap_or_default();
    let mut cells = vec![microseconds(pause), attempts.to_string()];
    for figure in [longest, |waited: &Waited| part(waited, 0.9999), |waited: &Waited| part(waited, 0.99)] {
        cells.push(microseconds(of(changes, |change| figure(&change.waited))));
        cells.push(microseconds(of(changes, |change| figure(&change.control))));
    }
    cells
}

/// In microseconds.
fn part(waited: &Waited, part: f64) -> f64 {
    waited.value_at_quantile(part) as f64 / 1000.0
}
