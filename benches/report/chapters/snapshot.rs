//! How fast a snapshot gets to the disk, and a start begins with one.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use fixture_api::world::Realm;
use liveswap::status::SnapshotTaken;
use liveswap_tests::Host;
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, figures, realm};

use crate::figure::{Chapter, Figure};
use crate::measure::median;
use crate::options::Options;

/// What is done with as many bytes as a snapshot has, in the order in which they take turns.
const WAYS: [&str; 4] = ["memcpy", "write and fsync", "taking a snapshot", "a start that loads it"];

/// The first of [`WAYS`] that liveswap does.
const LIVESWAP: usize = 2;

pub(crate) fn measure(options: &Options) -> Chapter {
    let entities = options.either(100_000, 1_000_000);
    let version = world::fixture(1).optimized().build();
    let [kept, left] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder can be made"));
    let start = |folder: &Path| {
        let host = Host::of::<dyn Realm>(|builder, _| builder.snapshots(folder).snapshot_at_end(false));
        let started = Instant::now();
        host.push(&*version);
        (host, started.elapsed())
    };
    let (host, _) = start(kept.path());
    realm(&host).call(|realm| realm.fill(0, entities)).expect("it's filled");
    let filled = figures(&host);
    let taken = || host.engine.snapshot(MODULE).expect("it's taken");
    let SnapshotTaken { bytes, path, .. } = taken();
    // A folder belongs to one engine.
    fs::copy(&path, left.path().join(path.file_name().expect("it's a file"))).expect("it can be copied");
    let block = vec![7; usize::try_from(bytes).expect("it fits into memory")];
    let mut copy = vec![0; block.len()];

    let rounds: Vec<[Duration; 4]> = (0..options.either(7, 21))
        .map(|_| {
            let copied = timed(|| copy.copy_from_slice(black_box(&block)));
            black_box(&copy);
            let written = timed(|| write(&kept.path().join("block"), &block));
            let snapshot = timed(taken);
            let (next, loaded) = start(left.path());
            assert_eq!(figures(&next), filled, "it isn't what was left");
            [copied, written, snapshot, loaded]
        })
        .collect();

    let seconds = |way: usize| rounds.iter().map(move |round| round[way].as_secs_f64());
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    let mut shown = Vec::new();
    for (way, name) in WAYS.into_iter().enumerate() {
        let figure = Figure::new(name, mebibytes / median(seconds(way)), "MiB/s");
        shown.push(if way < LIVESWAP {
            figure
        } else {
            figure.compared(WAYS[0], median(seconds(0).zip(seconds(way)).map(|(copy, this)| copy / this)))
        });
        if way == LIVESWAP {
            let ratio = median(seconds(1).zip(seconds(way)).map(|(write, this)| write / this));
            let figure =
                Figure::new(format!("{name}, beside writing"), mebibytes / median(seconds(way)), "MiB/s");
            shown.push(figure.compared(WAYS[1], ratio));
        }
    }
    Chapter {
        title: "Snapshots",
        text: format!(
            "A world of {entities} entities, which is {mebibytes:.1} MiB in a snapshot. Taking one ends when it's on the \
             disk, name and all; its control is to write as many bytes to the same disk at once, and to have the kernel \
             put them there. A start ends when the version serves with the state; loading the library is part of it, and \
             the file is in the page cache. The other control is to copy as many bytes within memory."
        ),
        figures: shown,
        ..Chapter::default()
    }
}

fn timed<R>(work: impl FnOnce() -> R) -> Duration {
    let started = Instant::now();
    black_box(work());
    started.elapsed()
}

/// A new file each time, as a snapshot is one.
fn write(path: &Path, block: &[u8]) {
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(block).expect("there is room");
    file.sync_all().expect("it gets to the disk");
    fs::remove_file(path).expect("it can be removed");
}
