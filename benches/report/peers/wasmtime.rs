//! The crate wasmtime: the same function, compiled from WebAssembly. It takes minutes to build, so it's left out unless
//! asked for.

use super::Peer;
#[cfg(not(feature = "wasmtime"))]
use crate::figure::NotRun;

const NAME: &str = "wasmtime";

#[cfg(feature = "wasmtime")]
pub(crate) static PEER: Peer = Peer::new(with_it::measure);

#[cfg(not(feature = "wasmtime"))]
pub(crate) static PEER: Peer = Peer::new(|_| {
    let reason =
        "it takes long to build; `cargo bench -p liveswap-benches --features wasmtime` has it".to_owned();
    Err(NotRun { name: NAME, reason })
});

#[cfg(feature = "wasmtime")]
mod with_it {
    use std::time::Instant;

    use libloading::Library;
    use liveswap_tests::{Fixture, maps};
    use wasmtime::{Engine, Instance, Module, Store, TypedFunc};

    use super::NAME;
    use crate::figure::{Figure, NotRun};
    use crate::measure::contest::{self, Contender};
    use crate::measure::median;
    use crate::options::Options;
    use crate::peers::cell::{Method, POINTER, time};
    use crate::peers::{Measured, locked};

    /// One more, and a trap if that doesn't fit, which is what a panic is there.
    const TEXT: &str = r#"
        (module
            (func (export "next") (param $number i64) (result i64)
                (if (i64.eq (local.get $number) (i64.const -1)) (then unreachable))
                (i64.add (local.get $number) (i64.const 1))))
    "#;

    /// An instance of its own, with the function.
    fn instance(engine: &Engine, module: &Module) -> (Store<()>, TypedFunc<u64, u64>) {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, module, &[]).expect("it imports nothing");
        let next = instance.get_typed_func(&mut store, "next").expect("it is exported");
        (store, next)
    }

    pub(super) fn measure(options: &Options) -> Result<Measured, NotRun> {
        let candidate = Fixture::package("bench-logic", "1").optimized().build();
        // SAFETY: a library of this project without constructors. It's never told of a host, which `bench_next` doesn't
        // need.
        let library = unsafe { Library::new(&candidate) }.expect("it can be loaded");
        // SAFETY: the library declares it so.
        let method: Method = *unsafe { library.get::<Method>(b"bench_next") }.expect("it is exported");
        let engine = Engine::default();
        let module = Module::new(&engine, TEXT).expect("it is WebAssembly");

        let contenders = [
            Contender::new(POINTER, move |count| {
                let method = std::hint::black_box(method);
                time(count, |number| method(number))
            }),
            // A store belongs to one thread.
            Contender::new(NAME, |count| {
                let (mut store, next) = instance(&engine, &module);
                time(count, |number| next.call(&mut store, number).expect("it doesn't trap"))
            }),
        ];
        let mut figures = Vec::new();
        for (threads, at) in [(1, "at 1 thread"), (2, "at 2 threads")] {
            let times = contest::hold(&contenders, threads, options.either(20, 200));
            let figure = Figure::new(format!("{NAME}, {at}"), times[1].median(), "ns");
            figures.push(figure.compared(format!("{POINTER}, {at}"), times[1].ratio_to(&times[0])));
        }

        let swap = |number: u64| {
            let started = Instant::now();
            let module = Module::new(&engine, TEXT).expect("it is WebAssembly");
            let (mut store, next) = instance(&engine, &module);
            assert_eq!(next.call(&mut store, number).expect("it doesn't trap"), number + 1);
            started.elapsed().as_nanos() as f64 / 1000.0
        };
        let (first, count) = (50, options.either(500, 2000));
        (0..first).map(swap).for_each(drop);
        let before = maps::resident();
        let took = median((first..first + count).map(swap));
        let bytes = (maps::resident() as f64 - before as f64) / count as f64;
        figures.push(Figure::new(format!("{NAME}, compile, instantiate and first call"), took, "µs"));
        figures.push(Figure::new(format!("{NAME}, memory a swap, over {count}"), bytes / 1024.0, "KiB"));
        Ok(Measured { version: locked(NAME), figures, pauses: Vec::new() })
    }
}
