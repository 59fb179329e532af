//! A publish: how long it takes, how soon callers are on the new version, and how soon they are out of the old one.

use std::hint::spin_loop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::{MembarrierCommand, membarrier};

use crate::figure::{Chapter, Figure, NotRun, Table, Target, number};
use crate::live::Live;
use crate::measure::callers::{Ended, Setting};
use crate::measure::switches::{self, Publish};
use crate::measure::{median, quantile};
use crate::options::Options;

/// Times of one kind, in microseconds.
type Times = Vec<f64>;

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn measure(options: &Options) -> Chapter {
    let mut chapter = Chapter {
        title: "A publish",
        text: "A rollback to the version in the other slot is a publish and nothing else: it's timed from asking to the \
               answer, with the way to the control thread and back; beside it, the step itself as the engine reports it. \
               Meanwhile pinned callers note for each call when it begins, when it has returned, and which version has \
               answered. Callers switch: from when the new version was first entered to when the old one was last \
               entered, on any thread; 0 if no call entered the old one once another had entered the new one. The grace \
               period: from the publish until no call is inside the old version, and the engine may know. For the first \
               part, the publish is taken to have come when the last call began that the old version has answered, which \
               is before it came; a caller that the kernel has taken off its processor inside the old version counts \
               until it's back. The second part is the barrier that the engine passes before it looks who is \
               inside, measured by itself beside callers that are as busy. An exclusive call waits in the same \
               way for those that share the state, all of it seen from outside: that row is how long it takes. Two callers on two \
               processors share them with the engine; one caller has its own, and the engine is apart on another."
            .to_owned(),
        ..Chapter::default()
    };
    let mut spread = Vec::new();
    for setting in [vec![Setting::without_callers()], Setting::with_callers()].concat() {
        measure_with(&setting, options, &mut chapter, &mut spread);
    }
    chapter.tables.push(Table {
        title: "How much it varies".to_owned(),
        columns: ["p10", "p50", "p90", "p99"].map(str::to_owned).into(),
        rows: spread,
    });
    chapter
}

fn measure_with(
    setting: &Setting,
    options: &Options,
    chapter: &mut Chapter,
    spread: &mut Vec<(String, Vec<String>)>,
) {
    let name = |what: &str| format!("{what}, {}", setting.name);
    let mut note = |what: &str, times: &Times| {
        let part = |part| format!("{} µs", number(quantile(times.iter().copied(), part)));
        spread.push((name(what), vec![part(0.1), part(0.5), part(0.9), part(0.99)]));
    };
    let figure = |what: &str, times: &Times| Figure::new(name(what), median(times.iter().copied()), "µs");

    let live = Live::begin(setting);
    let (mut rollbacks, mut steps) = (Times::new(), Times::new());
    let mut is_on_probation = false;
    let publish = || {
        if is_on_probation {
            live.settle();
            let started = Instant::now();
            let published = live.rollback();
            rollbacks.push(micros(started.elapsed()));
            steps.push(published.swap.stages_us.publish.unwrap_or(0) as f64);
        } else {
            live.push();
        }
        is_on_probation = !is_on_probation;
    };
    let publishes = switches::watch(setting, options.either(240, 2000), || live.version(), publish);
    chapter.figures.push(figure("rollback to the standby", &rollbacks));
    chapter.figures.push(figure("the step in it", &steps));
    note("rollback to the standby", &rollbacks);

    let mut barriers = Vec::new();
    if membarrier(MembarrierCommand::PrivateExpedited).is_ok() {
        barriers = barrier(setting, options.either(2000, 20_000));
        chapter.figures.push(figure("membarrier", &barriers));
        note("membarrier", &barriers);
    } else if setting.callers.is_empty() {
        let reason = "the kernel doesn't offer it: callers fence themselves".to_owned();
        chapter.not_run.push(NotRun { name: "membarrier", reason });
    }
    if setting.callers.is_empty() {
        return;
    }

    let of = |what: fn(&Publish) -> Duration| {
        publishes.iter().map(|publish| micros(what(publish))).collect::<Times>()
    };
    let overlaps = of(Publish::overlap);
    if setting.callers.len() > 1 {
        chapter.figures.push(figure("callers switch within", &overlaps).target(Target::ValueAtMost(0.5)));
        note("callers switch within", &overlaps);
        note("the same with interrupted calls", &of(Publish::overlap_with_interrupted));
        let raw = pointer(setting, options.either(240, 2000));
        let raw: Times = raw.iter().map(|publish| micros(publish.overlap())).collect();
        chapter.figures.push(figure("the same with a bare pointer", &raw));
        note("the same with a bare pointer", &raw);
    }
    let inside = of(Publish::grace);
    note("until no caller is inside the old version", &inside);
    chapter.figures.push(figure("until no caller is inside the old version", &inside));
    if !barriers.is_empty() {
        let barrier = median(barriers);
        let grace = inside.iter().map(|inside| inside + barrier).collect();
        chapter.figures.push(figure("grace period", &grace).target(Target::ValueAtMost(25.0)));
    }
    let exclusive = exclusive(setting, &live, options.either(300, 3000));
    chapter.figures.push(figure("an exclusive call, waiting for callers", &exclusive));
    note("an exclusive call, waiting for callers", &exclusive);
}

/// The barrier that makes all callers pass a fence: what any such wait costs at least.
fn barrier(setting: &Setting, times: usize) -> Times {
    let barrier = || membarrier(MembarrierCommand::PrivateExpedited).expect("it has worked before");
    beside_running(setting, times, spin_loop, barrier)
}

/// What callers see of a pointer that is replaced, without any engine.
fn pointer(setting: &Setting, publishes: usize) -> Vec<Publish> {
    let versions = [1, 2];
    let published = AtomicPtr::new(ptr::from_ref(&versions[0]).cast_mut());
    let mut active = 0;
    let publish = || {
        active = 1 - active;
        published.store(ptr::from_ref(&versions[active]).cast_mut(), Ordering::Release);
    };
    // SAFETY: it always points into `versions`, which outlives the callers.
    let call = || unsafe { *published.load(Ordering::Acquire) };
    switches::watch(setting, publishes, call, publish)
}

fn exclusive(setting: &Setting, live: &Live, times: usize) -> Times {
    let share = || {
        live.module.call(|logic| logic.next_shared(1)).expect("it doesn't panic");
    };
    let alone = || {
        live.module.call(|logic| logic.next_alone(1)).expect("it doesn't panic");
    };
    beside_running(setting, times, share, alone)
}

/// How often a caller has called, on cache lines of its own.
#[repr(align(128))]
struct Turns(AtomicU64);

/// How long `work` takes while callers repeat `call`. A caller that the kernel has taken off its processor is in nobody's
/// way, so each time one is awaited that is running.
fn beside_running(setting: &Setting, times: usize, call: impl Fn() + Sync, work: impl Fn() + Sync) -> Times {
    let turns: Vec<_> = setting.callers.iter().map(|_| Turns(AtomicU64::new(0))).collect();
    let caller = |number: usize, ended: &Ended| {
        while !ended.yet() {
            call();
            turns[number].0.fetch_add(1, Ordering::Relaxed);
        }
    };
    let seen = || -> Vec<u64> { turns.iter().map(|turns| turns.0.load(Ordering::Relaxed)).collect() };
    let once = |_| {
        let before = seen();
        while !turns.is_empty() && seen() == before {
            spin_loop();
        }
        let started = Instant::now();
        work();
        micros(started.elapsed())
    };
    setting.during(caller, || (0..times).map(once).collect()).0
}
