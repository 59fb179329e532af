//! Many pushes while callers call: what that does to how long their calls take.

use std::thread;
use std::time::{Duration, Instant};

use crate::figure::{Chapter, Figure, NotRun, Table, Target, number};
use crate::live::Live;
use crate::measure::callers::{Ended, ONE, Setting};
use crate::measure::latency::{Latencies, QUANTILES};
use crate::measure::median;
use crate::options::Options;
use crate::output::chart::Chart;

/// What goes on beside the callers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Storm {
    Control,
    Paced,
    BackToBack,
}

impl Storm {
    const ALL: [Self; 3] = [Self::Control, Self::Paced, Self::BackToBack];

    fn name(self) -> &'static str {
        match self {
            Self::Control => "no swaps",
            Self::Paced => "100 swaps a second",
            Self::BackToBack => "swaps back to back",
        }
    }
}

/// How far apart pushes are that come at 100 a second.
const PERIOD: Duration = Duration::from_millis(10);

/// A stretch of one kind.
struct Stretch {
    latencies: Latencies,
    swaps: usize,
    took: Duration,
}

pub(crate) fn measure(options: &Options) -> Chapter {
    let (mut figures, mut tables, mut charts) = (Vec::new(), Vec::new(), Vec::new());
    for setting in Setting::with_callers() {
        let live = Live::begin(&setting);
        let mut stretches: [Vec<Stretch>; 3] = Default::default();
        for _ in 0..options.either(4, 8) {
            for (storm, stretches) in Storm::ALL.into_iter().zip(&mut stretches) {
                stretches.push(stretch(&live, &setting, storm, options.either(900, 3000)));
            }
        }
        figures.extend(compare(&setting, &stretches));
        tables.push(table(&setting, &stretches));
        charts.push(chart(&setting, &stretches));
    }
    let not_run = if tables.len() < 2 {
        vec![NotRun { name: ONE, reason: "this machine has one processor".to_owned() }]
    } else {
        Vec::new()
    };
    Chapter {
        title: "A storm of swaps",
        text: "Callers on pinned threads call without a pause, and note for each call how long it took from the end of \
               the call before. So it includes reading the clock, and nothing that holds a caller up falls between two \
               calls. Meanwhile a thread pushes one version after the other, 100 a second or as fast as it can. \
               Stretches without swaps, the control, and with them take turns; the figures are medians of the \
               differences between neighbours. A call that is held up counts once, however long it takes, as it does for \
               whoever waits for it; the share of calls that were made at all shows what the swaps took from the callers. \
               With two callers on two processors, the swapping thread and the engine's take turns with them, and the \
               kernel decides for how long a caller waits: its turns are in the longest \
               calls. So the same once more with one caller, and all who swap apart from it on another processor."
            .to_owned(),
        figures,
        tables,
        charts,
        not_run,
        ..Chapter::default()
    }
}

fn stretch(live: &Live, setting: &Setting, storm: Storm, milliseconds: u64) -> Stretch {
    let time = Duration::from_millis(milliseconds);
    let work = || {
        let started = Instant::now();
        let mut swaps = 0;
        match storm {
            Storm::Control => thread::sleep(time),
            Storm::Paced => {
                while started.elapsed() < time {
                    live.push();
                    swaps += 1;
                    thread::sleep((PERIOD * swaps).saturating_sub(started.elapsed()));
                }
            }
            Storm::BackToBack => {
                while started.elapsed() < time {
                    live.push();
                    swaps += 1;
                }
            }
        }
        (swaps as usize, started.elapsed())
    };
    let ((swaps, took), of_callers) = setting.during(|_, ended| call(live, ended), work);
    live.settle();
    let mut latencies = Latencies::new();
    of_callers.iter().for_each(|of_one| latencies.add(of_one));
    Stretch { latencies, swaps, took }
}

fn call(live: &Live, ended: &Ended) -> Latencies {
    let mut latencies = Latencies::new();
    let mut number = 0;
    let mut before = Instant::now();
    while !ended.yet() {
        number = live.module.call(|logic| logic.next(number)).expect("it doesn't panic");
        let now = Instant::now();
        latencies.record(now - before);
        before = now;
    }
    latencies
}

/// How far the storm's percentiles are above the control's of the same round.
fn compare(setting: &Setting, stretches: &[Vec<Stretch>; 3]) -> Vec<Figure> {
    let [control, storms @ ..] = stretches;
    let mut figures = Vec::new();
    for (storm, stretches) in Storm::ALL[1..].iter().zip(storms) {
        for (name, part, most) in
            [("p50", 0.5, None), ("p99", 0.99, Some(0.1)), ("p99.99", 0.9999, Some(1.0))]
        {
            let pairs = stretches.iter().zip(control);
            let above = median(pairs.map(|(storm, control)| {
                (storm.latencies.quantile(part) - control.latencies.quantile(part)) / 1e3
            }));
            let name = format!("{name} above the control, {}, {}", storm.name(), setting.name);
            let figure = Figure::new(name, above, "µs");
            figures.push(match most {
                Some(most) if *storm == Storm::Paced => figure.target(Target::ValueAtMost(most)),
                _ => figure,
            });
        }
    }
    figures
}

fn merged(stretches: &[Stretch]) -> Latencies {
    let mut merged = Latencies::new();
    stretches.iter().for_each(|stretch| merged.add(&stretch.latencies));
    merged
}

fn table(setting: &Setting, stretches: &[Vec<Stretch>; 3]) -> Table {
    let calls = |stretch: &Stretch| stretch.latencies.count() as f64 / stretch.took.as_secs_f64();
    let swaps = |stretch: &Stretch| stretch.swaps as f64 / stretch.took.as_secs_f64();
    let control = &stretches[0];
    let rows = Storm::ALL.iter().zip(stretches).map(|(storm, stretches)| {
        let latencies = merged(stretches);
        let made = stretches.iter().zip(control).map(|(storm, control)| calls(storm) / calls(control));
        let mut cells =
            vec![number(median(stretches.iter().map(swaps))), format!("{} %", number(100.0 * median(made)))];
        cells.extend(QUANTILES.map(|(_, part)| format!("{} µs", number(latencies.quantile(part) / 1e3))));
        cells.push(format!("{} µs", number(latencies.longest() / 1e3)));
        (storm.name().to_owned(), cells)
    });
    let rows = rows.collect();
    let columns = ["swaps/s", "calls made"].into_iter().chain(QUANTILES.map(|(name, _)| name)).chain(["max"]);
    Table {
        title: format!("How long calls take: {}", setting.name),
        columns: columns.map(str::to_owned).collect(),
        rows,
    }
}

fn chart(setting: &Setting, stretches: &[Vec<Stretch>; 3]) -> Chart {
    let lines = Storm::ALL.iter().zip(stretches).map(|(storm, stretches)| {
        let latencies = merged(stretches);
        // From the half to the slowest ten of all.
        let most = (latencies.count() as f64 / 10.0).log2() as u32;
        let point = |doubled: u32| {
            let one_in = f64::from(doubled).exp2();
            (one_in, latencies.quantile(1.0 - 1.0 / one_in) / 1e3)
        };
        (storm.name().to_owned(), (1..=most).map(point).collect())
    });
    Chart {
        title: format!("What one call in so many takes: {}", setting.name),
        across: "one call in",
        up: "takes longer than, µs",
        lines: lines.collect(),
    }
}
