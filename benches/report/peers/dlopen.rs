//! The loader by itself: what stays in memory after a library was copied, loaded, called and closed.

use std::fs;

use libloading::Library;
use liveswap_tests::{Fixture, maps};

use super::cell::Method;
use super::{Measured, Peer};
use crate::figure::{Figure, NotRun};
use crate::machine::said_by;
use crate::options::Options;

const NAME: &str = "raw dlopen";

pub(crate) static PEER: Peer = Peer::new(measure);

fn measure(options: &Options) -> Result<Measured, NotRun> {
    let candidate = Fixture::package("bench-logic", "1").optimized().build();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let swap = |number: usize| {
        let copy = folder.path().join(format!("{number}.so"));
        fs::copy(&candidate, &copy).expect("it can be copied");
        // SAFETY: a library of this project without constructors. It's never told of a host, which `bench_next` doesn't
        // need.
        let library = unsafe { Library::new(&copy) }.expect("it can be loaded");
        // SAFETY: the library declares it so.
        let next = unsafe { library.get::<Method>(b"bench_next") }.expect("it is exported");
        assert_eq!(next(number as u64), number as u64 + 1);
        library.close().expect("it can be closed");
        fs::remove_file(copy).expect("it can be removed");
    };
    let (first, count) = (100, options.either(1000, 5000));
    (0..first).for_each(swap);
    let before = maps::resident();
    (first..first + count).for_each(swap);
    let bytes = (maps::resident() as f64 - before as f64) / count as f64;
    let left = maps::mapped(folder.path()).len();
    Ok(Measured {
        version: said_by("ldd", &["--version"])
            .and_then(|said| said.lines().next().map(str::to_owned))
            .unwrap_or_default(),
        figures: vec![
            Figure::new(format!("{NAME}, memory a swap, over {count}"), bytes / 1024.0, "KiB"),
            Figure::new(format!("{NAME}, libraries still mapped after {count} swaps"), left as f64, ""),
        ],
        pauses: Vec::new(),
    })
}
