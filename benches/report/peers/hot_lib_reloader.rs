//! The crate hot-lib-reloader: a call, and how long it takes to notice and load a library that was replaced.
//!
//! It takes a change up when its file has been left alone for a while. That while is half a second if one doesn't say
//! otherwise; the same with ten milliseconds stands beside it.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libloading::Library;
use liveswap_tests::Fixture;
use tempfile::TempDir;

use super::cell::{POINTER, time};
use super::{Measured, Peer, locked};
use crate::figure::{Figure, NotRun};
use crate::measure::contest::{self, Contender};
use crate::measure::median;
use crate::options::Options;

const NAME: &str = "hot-lib-reloader";

pub(crate) static PEER: Peer = Peer::new(measure);

/// What the crate makes of a library, once for each time that it waits.
#[hot_lib_reloader::hot_module(dylib = "hot", lib_dir = super::folder("usual"))]
#[allow(missing_docs, static_mut_refs, clippy::undocumented_unsafe_blocks)]
mod usual {
    #[hot_functions]
    extern "Rust" {
        pub(crate) fn hot_next(number: u64) -> u64;
        pub(crate) fn hot_version() -> u64;
    }
}

#[hot_lib_reloader::hot_module(dylib = "hot", lib_dir = super::folder("hurried"), file_watch_debounce = 10)]
#[allow(missing_docs, static_mut_refs, clippy::undocumented_unsafe_blocks)]
mod hurried {
    #[hot_functions]
    extern "Rust" {
        pub(crate) fn hot_version() -> u64;
    }
}

/// The function by its address: the floor.
type Method = fn(u64) -> u64;

fn measure(options: &Options) -> Result<Measured, NotRun> {
    let builds = ["1", "22"].map(|version| Fixture::package("bench-hot-lib", version).optimized().build());
    for watched in ["usual", "hurried"] {
        replace(watched, &builds[0]);
    }
    // The first call loads the library.
    assert_eq!((usual::hot_version(), hurried::hot_version()), (1, 1));

    // SAFETY: a library of this project without constructors.
    let library = unsafe { Library::new(&builds[0]) }.expect("it can be loaded");
    // SAFETY: the library declares it so.
    let method: Method = *unsafe { library.get::<Method>(b"hot_next") }.expect("it is exported");
    let contenders = [
        Contender::new(POINTER, move |count| time(count, black_box(method))),
        Contender::new(NAME, |count| time(count, usual::hot_next)),
    ];
    let mut figures = Vec::new();
    for (threads, at) in [(1, "at 1 thread"), (2, "at 2 threads")] {
        let times = contest::hold(&contenders, threads, options.either(20, 200));
        let figure = Figure::new(format!("{NAME}, {at}"), times[1].median(), "ns");
        figures.push(figure.compared(format!("{POINTER}, {at}"), times[1].ratio_to(&times[0])));
    }

    let reloads = options.either(6, 30);
    for (name, watched, version) in [
        ("as it comes", "usual", usual::hot_version as fn() -> u64),
        ("that waits 10 ms", "hurried", hurried::hot_version),
    ] {
        let (times, lost) = reload(watched, version, &builds, reloads);
        if times.is_empty() {
            return Err(NotRun {
                name: NAME,
                reason: format!("{name}, it has noticed none of {lost} changes"),
            });
        }
        let name = format!("{NAME} {name}, from a new file to the first call");
        figures.push(Figure::new(&name, median(times) * 1000.0, "ms"));
        figures.push(Figure::new(
            format!("{name}: changes that it never noticed, of {reloads}"),
            lost as f64,
            "",
        ));
    }
    Ok(Measured { version: locked(NAME), figures, pauses: Vec::new() })
}

/// How long it is given to notice.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a file is left alone before the next change, as if somebody had to build that first. The crate puts its
/// watch on a file's successor only after it has seen the file go, and notices nothing in between.
const BETWEEN: Duration = Duration::from_millis(100);

/// From the moment in which the file is replaced until a call answers with the new version, in seconds; and how many
/// changes have come to nothing.
fn reload(watched: &str, version: fn() -> u64, builds: &[PathBuf; 2], count: usize) -> (Vec<f64>, usize) {
    let (mut times, mut lost) = (Vec::new(), 0);
    for _ in 0..count {
        std::thread::sleep(BETWEEN);
        let before = version();
        let started = Instant::now();
        replace(watched, &builds[usize::from(before == 1)]);
        while version() == before && started.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        if version() == before {
            lost += 1;
        } else {
            times.push(started.elapsed().as_secs_f64());
        }
    }
    (times, lost)
}

/// By renaming, so that nobody ever sees half a library.
fn replace(watched: &str, build: &Path) {
    let folder = folder(watched);
    let fresh = folder.join("fresh");
    fs::copy(build, &fresh).expect("it can be copied");
    fs::rename(fresh, folder.join("libhot.so")).expect("it can be renamed");
}

/// The folder that it watches. It is kept until the process ends, as the threads that watch are.
fn folder(watched: &str) -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder can be made"));
    let folder = folder.path().join(watched);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}
