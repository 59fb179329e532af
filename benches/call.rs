//! What a call costs, beside a raw function pointer to the same function.
//!
//! Each iteration feeds the next, so that calls can't overlap. `raw` is the floor: no library, no version, no
//! state.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use liveswap::Engine;
use liveswap_benches::Smallest;
use liveswap_tests::fixture::Fixture;

#[inline(never)]
fn next(number: u64) -> u64 {
    number.wrapping_add(1)
}

fn call(criterion: &mut Criterion) {
    let engine = Engine::builder().module::<dyn Smallest>("logic").build().expect("the engine starts");
    engine.push(Fixture::package("bench-logic", "1").optimized().build()).expect("the logic loads");
    let module = engine.module::<dyn Smallest>("logic").expect("the module is declared");

    let mut group = criterion.benchmark_group("call");
    let mut number = 0;
    group.bench_function("raw function pointer", |bencher| {
        let raw: fn(u64) -> u64 = black_box(next);
        bencher.iter(|| number = black_box(raw)(number));
    });
    group.bench_function("held, without the state", |bencher| {
        let held = module.enter().expect("a version is active");
        bencher.iter(|| number = held.next(number).expect("it doesn't panic"));
    });
    group.bench_function("held, sharing the state", |bencher| {
        let held = module.enter().expect("a version is active");
        bencher.iter(|| number = held.next_shared(number).expect("it doesn't panic"));
    });
    group.bench_function("one call, without the state", |bencher| {
        bencher.iter(|| number = module.call(|logic| logic.next(number)).expect("it doesn't panic"));
    });
    group.bench_function("one call, sharing the state", |bencher| {
        bencher.iter(|| number = module.call(|logic| logic.next_shared(number)).expect("it doesn't panic"));
    });
    group.bench_function("one call, with the state alone", |bencher| {
        bencher.iter(|| number = module.call(|logic| logic.next_alone(number)).expect("it doesn't panic"));
    });
    group.finish();
    black_box(number);
}

criterion_group!(benches, call);
criterion_main!(benches);
