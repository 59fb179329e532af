//! From asking for a push to the first call that the new version answers, stage by stage; and the end of the old one.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use libloading::Library;
use liveswap::status::Stages;
use tempfile::TempDir;

use crate::figure::{Chapter, Figure, Table, Target, number};
use crate::live::Live;
use crate::measure::callers::Setting;
use crate::measure::{median, quantile};
use crate::options::Options;
use crate::peers::cell::Method;

const PUSH: &str = "push, first call";
const RAW: &str = "raw copy, dlopen, first call";
const COMMIT: &str = "commit until the old version is unmapped";
const CLOSE: &str = "raw dlclose";

/// What one round came to, in microseconds.
struct Round {
    push: f64,
    stages: Stages,
    raw: f64,
    unmapped: f64,
    closed: f64,
}

pub(crate) fn measure(options: &Options) -> Chapter {
    let settings = [vec![Setting::without_callers()], Setting::with_callers()].concat();
    let (mut figures, mut size) = (Vec::new(), 0);
    let (mut columns, mut stages, mut spread) = (Vec::new(), Vec::new(), Vec::new());
    for setting in settings {
        let live = Live::begin(&setting);
        size = fs::metadata(live.next()).expect("it was built").len();
        let rounds = options.either(100, 1000);
        let (rounds, _) = setting.during(|_, ended| live.call_on(ended), || take_turns(&live, rounds));

        let name = |what| format!("{what}, {}", setting.name);
        let of = |what: fn(&Round) -> f64| median(rounds.iter().map(what));
        let ratio = |one: fn(&Round) -> f64, to: fn(&Round) -> f64| {
            median(rounds.iter().map(|round| one(round) / to(round)))
        };
        figures.push(Figure::new(name(RAW), of(|round| round.raw), "µs"));
        let push = Figure::new(name(PUSH), of(|round| round.push), "µs");
        let push = push.compared(name(RAW), ratio(|round| round.push, |round| round.raw));
        figures.push(if setting.callers.is_empty() { push } else { push.target(Target::RatioAtMost(2.0)) });
        figures.push(Figure::new(name(CLOSE), of(|round| round.closed), "µs"));
        let commit = Figure::new(name(COMMIT), of(|round| round.unmapped), "µs");
        figures.push(commit.compared(name(CLOSE), ratio(|round| round.unmapped, |round| round.closed)));

        columns.push(setting.name.to_owned());
        stages.push(rounds.iter().map(steps).collect::<Vec<_>>());
        for (what, of) in [
            (RAW, (|round| round.raw) as fn(&Round) -> f64),
            (PUSH, |round| round.push),
            (CLOSE, |round| round.closed),
            (COMMIT, |round| round.unmapped),
        ] {
            let part = |part| format!("{} µs", number(quantile(rounds.iter().map(of), part)));
            spread.push((name(what), vec![part(0.1), part(0.5), part(0.9), part(0.99)]));
        }
    }
    Chapter {
        title: "Push to live",
        text: format!(
            "From asking the engine to push a library of {} KiB until the new version has answered a call, without \
             callers; with two that keep calling, and share their processors with the engine; and with one, the engine's \
             threads and whoever pushes apart from it on another processor. Beside it, what nobody can do \
             without: copying the same file, loading it, and calling into it. The two take turns, and change order \
             from round to round. A push also hashes the file, verifies it before any of its code may run, makes the \
             copy one that can be unmapped, and calls the version's hooks. What the old version leaves \
             behind is timed from the commit until the kernel's map shows none of its code, with its two hooks on \
             threads of their own between.",
            size / 1024
        ),
        figures,
        tables: vec![
            Table { title: "A push by stage, medians".to_owned(), columns, rows: by_stage(&stages) },
            Table {
                title: "How much it varies".to_owned(),
                columns: ["p10", "p50", "p90", "p99"].map(str::to_owned).into(),
                rows: spread,
            },
        ],
        ..Chapter::default()
    }
}

fn take_turns(live: &Live, rounds: usize) -> Vec<Round> {
    let folder = TempDir::new().expect("a folder can be made");
    // The first ones find cold caches and files that the kernel hasn't seen.
    let warm_up = rounds / 10;
    (0..warm_up + rounds)
        .map(|number| {
            let next = live.next();
            if number % 2 == 0 {
                let (push, stages, unmapped) = push(live, next);
                let (raw, closed) = raw(next, folder.path());
                Round { push, stages, raw, unmapped, closed }
            } else {
                let (raw, closed) = raw(next, folder.path());
                let (push, stages, unmapped) = push(live, next);
                Round { push, stages, raw, unmapped, closed }
            }
        })
        .skip(warm_up)
        .collect()
}

/// Leaves no second version behind, so that each push finds the same.
fn push(live: &Live, file: &Path) -> (f64, Stages, f64) {
    let before = live.version();
    let started = Instant::now();
    let published = live.push_file(file);
    let answered = live.version();
    let pushed = started.elapsed();
    assert_ne!(answered, before, "the new version answers");
    let started = Instant::now();
    live.commit();
    live.settle();
    let unmapped = started.elapsed();
    (pushed.as_secs_f64() * 1e6, published.swap.stages_us, unmapped.as_secs_f64() * 1e6)
}

/// Removing the copy isn't counted, as the engine does that after a version is unmapped.
fn raw(file: &Path, folder: &Path) -> (f64, f64) {
    let copy = folder.join("copy.so");
    let started = Instant::now();
    fs::copy(file, &copy).expect("it can be copied");
    // SAFETY: a library of this project without constructors. It's never told of a host, which `bench_next` doesn't need.
    let library = unsafe { Library::new(&copy) }.expect("it can be loaded");
    // SAFETY: the library declares it so.
    let next = unsafe { library.get::<Method>(b"bench_next") }.expect("it is exported");
    assert_eq!(black_box(next(1)), 2);
    let loaded = started.elapsed();
    let started = Instant::now();
    library.close().expect("it can be closed");
    let closed = started.elapsed();
    fs::remove_file(copy).expect("it can be removed");
    (loaded.as_secs_f64() * 1e6, closed.as_secs_f64() * 1e6)
}

/// The stages by name, and what is left: the way to the control thread and back, and the first call.
fn steps(round: &Round) -> Vec<(&'static str, f64)> {
    let Stages { accept, verify, load, prepare, publish, .. } = round.stages;
    let stages = [
        ("accept: copy and hash", accept),
        ("verify", verify),
        ("load: map and bind", load),
        ("prepare", prepare),
        ("publish", publish),
    ];
    let stages = stages.map(|(name, took)| (name, took.unwrap_or(0) as f64));
    let rest = round.push - stages.iter().map(|(_, took)| took).sum::<f64>();
    stages.into_iter().chain([("to the control thread and back, first call", rest.max(0.0))]).collect()
}

/// A row for each stage, a column for each setting.
fn by_stage(settings: &[Vec<Vec<(&'static str, f64)>>]) -> Vec<(String, Vec<String>)> {
    let names = settings[0][0].iter().map(|(name, _)| *name);
    names
        .enumerate()
        .map(|(stage, name)| {
            let median = |rounds: &Vec<Vec<(&str, f64)>>| median(rounds.iter().map(|round| round[stage].1));
            (
                name.to_owned(),
                settings.iter().map(|rounds| format!("{} µs", number(median(rounds)))).collect(),
            )
        })
        .collect()
}
