//! Push to live: from asking for a push to the new version serving, beside what nobody can do without: copying
//! the file, loading it, and calling into it.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use liveswap::{Engine, Push};
use liveswap_benches::Smallest;
use liveswap_tests::fixture::Fixture;

fn push(criterion: &mut Criterion) {
    let versions: Vec<PathBuf> =
        ["1", "2"].map(|version| Fixture::package("bench-logic", version).optimized().build()).into();
    let size = fs::metadata(&versions[0]).expect("it was built").len();
    println!("the library has {} KiB", size / 1024);

    let mut group = criterion.benchmark_group("push to live");
    group.sample_size(30);
    group.bench_function("raw copy, dlopen, first look", |bencher| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut copies = 0;
        bencher.iter_custom(|rounds| {
            (0..rounds).map(|round| raw(&versions[round as usize % 2], folder.path(), &mut copies)).sum()
        });
    });
    group.bench_function("push, first call", |bencher| {
        let engine = Engine::builder().module::<dyn Smallest>("logic").build().expect("the engine starts");
        let module = engine.module::<dyn Smallest>("logic").expect("the module is declared");
        // Pushing what is active already does nothing, so the rounds must not start over with a version.
        let mut pushed = 0;
        bencher.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                let push = Push::file(&versions[pushed % 2]).allow_older();
                pushed += 1;
                let started = Instant::now();
                engine.push(push).expect("the version is accepted");
                black_box(module.call(|logic| logic.next(1)).expect("it doesn't panic"));
                took += started.elapsed();
            }
            took
        });
    });
    group.finish();
}

/// Copies, loads and looks the entry up; closing and removing aren't counted, as they aren't for a push.
fn raw(version: &Path, folder: &Path, copies: &mut usize) -> Duration {
    *copies += 1;
    let copy = folder.join(format!("{copies}.so"));
    let started = Instant::now();
    fs::copy(version, &copy).expect("it can be copied");
    // SAFETY: a library of this project without constructors; the entry is only looked at as an address.
    let library = unsafe { libloading::Library::new(&copy) }.expect("it can be loaded");
    // SAFETY: as above.
    let entry = unsafe { library.get::<*const u8>(b"liveswap_entry") }.expect("it is exported");
    black_box(*entry);
    let took = started.elapsed();
    library.close().expect("it can be closed");
    fs::remove_file(copy).expect("it can be removed");
    took
}

criterion_group!(benches, push);
criterion_main!(benches);
