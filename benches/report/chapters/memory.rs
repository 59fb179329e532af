//! Thousands of swaps in one process: what each leaves behind.

use std::fs;

use crate::figure::{Chapter, Figure, Table, Target, number};
use crate::live::Live;
use crate::measure::callers::Setting;
use crate::options::Options;
use crate::output::chart::Chart;

/// How often it's looked at.
const LOOKS: usize = 25;

/// What the process has.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    resident_kib: f64,
    mappings: usize,
    files: usize,
    threads: usize,
}

impl Holdings {
    fn look() -> Self {
        Self {
            resident_kib: resident_kib(),
            mappings: fs::read_to_string("/proc/self/maps").expect("it can be read").lines().count(),
            // The look itself has one open.
            files: fs::read_dir("/proc/self/fd").expect("it can be read").count() - 1,
            threads: fs::read_dir("/proc/self/task").expect("it can be read").count(),
        }
    }
}

/// The kernel's own sum over all pages. `VmRSS` may be off by some hundred KiB, as each processor adds up what it has seen.
fn resident_kib() -> f64 {
    let sum = fs::read_to_string("/proc/self/smaps_rollup").expect("the kernel offers it");
    let line = sum.lines().find_map(|line| line.strip_prefix("Rss:")).expect("it has this line");
    line.trim().trim_end_matches("kB").trim().parse().expect("it is a number")
}

pub(crate) fn measure(options: &Options) -> Chapter {
    let (warm_up, swaps) = options.either((300, 500), (500, 10_000));
    let setting = Setting::two_callers();
    let live = Live::begin(&setting);
    let swap = |count| {
        (0..count).for_each(|_| drop(live.push()));
        live.settle();
        Holdings::look()
    };
    let work = || {
        let before = swap(warm_up);
        let each = swaps / LOOKS;
        let looks = (1..=LOOKS).map(|look| (look * each, swap(each)));
        (before, looks.collect::<Vec<_>>())
    };
    let ((before, looks), _) = setting.during(|_, ended| live.call_on(ended), work);
    let (_, after) = *looks.last().expect("it was looked at");

    let grown = (after.resident_kib - before.resident_kib) / swaps as f64;
    let mib = |holdings: &Holdings| holdings.resident_kib / 1024.0;
    let over_swaps = |what: &dyn Fn(&Holdings) -> f64| -> Vec<(f64, f64)> {
        let looks = [(0, before)].into_iter().chain(looks.iter().copied());
        looks.map(|(swaps, holdings)| (swaps as f64, what(&holdings))).collect()
    };
    let chart = |title: &str, up, line| Chart {
        title: title.to_owned(),
        across: "swaps",
        up,
        lines: vec![(up.to_owned(), line)],
    };
    let row = |name: &str, holdings: &Holdings| {
        let Holdings { mappings, files, threads, .. } = holdings;
        let cells = vec![
            format!("{} MiB", number(mib(holdings))),
            mappings.to_string(),
            files.to_string(),
            threads.to_string(),
        ];
        (name.to_owned(), cells)
    };
    Chapter {
        title: "Memory",
        text: format!(
            "{swaps} swaps in one process, with two callers that keep calling: each push loads a library, and has the one \
             before the last unmapped. What the process has is looked at after {warm_up} swaps, when its heap has the size \
             that it needs, and then time and again, once what has left its slot is unmapped. \
             Each version's hooks run on threads of their own, of which the C library keeps some stacks and heaps for later \
             ones: those are the mappings that come and go."
        ),
        figures: vec![
            Figure::new("resident memory for each swap", grown, "KiB").target(Target::ValueAtMost(1.0)),
            Figure::new("more mappings after all swaps", after.mappings as f64 - before.mappings as f64, ""),
            Figure::new("more open files after all swaps", after.files as f64 - before.files as f64, ""),
            Figure::new("more threads after all swaps", after.threads as f64 - before.threads as f64, ""),
        ],
        tables: vec![Table {
            title: "What the process has".to_owned(),
            columns: ["resident", "mappings", "open files", "threads"].map(str::to_owned).into(),
            rows: vec![
                row(&format!("after the first {warm_up} swaps"), &before),
                row(&format!("after {swaps} more"), &after),
            ],
        }],
        charts: vec![
            chart("Resident memory over swaps", "resident, MiB", over_swaps(&mib)),
            chart("Mappings over swaps", "mappings", over_swaps(&|holdings| holdings.mappings as f64)),
        ],
        ..Chapter::default()
    }
}
