//! What a call costs, at one thread and at two.

use libloading::Library;
use liveswap::Engine;
use liveswap_benches::Smallest;
use liveswap_tests::fixture::Fixture;

use crate::figure::{Chapter, Figure, Table, Target, number};
use crate::measure::contest::{self, Contender};
use crate::options::Options;
use crate::output::bars::{Bars, Row};
use crate::peers::cell::{self, Method, POINTER, time};

const HELD: &str = "liveswap, through a held handle";
const ONE: &str = "liveswap, one call";

pub(crate) fn measure(options: &Options) -> Chapter {
    let candidate = Fixture::package("bench-logic", "1").optimized().build();
    // SAFETY: a library of this project without constructors. It's never told of a host, which `bench_next` doesn't need.
    let library = unsafe { Library::new(&candidate) }.expect("it can be loaded");
    // SAFETY: the library declares it so.
    let raw = unsafe { library.get::<Method>(b"bench_next") }.expect("it is exported");
    let engine = Engine::builder().module::<dyn Smallest>("logic").build().expect("the engine starts");
    engine.push(candidate).expect("the logic loads");
    let module = engine.module::<dyn Smallest>("logic").expect("the module is declared");

    let mut contenders = cell::contenders(*raw);
    contenders.push(Contender::new(HELD, |count| {
        let held = module.enter().expect("a version is active");
        time(count, |number| held.next(number).expect("it doesn't panic"))
    }));
    contenders.push(Contender::new("liveswap, held, sharing the state", |count| {
        let held = module.enter().expect("a version is active");
        time(count, |number| held.next_shared(number).expect("it doesn't panic"))
    }));
    contenders.push(Contender::new(ONE, |count| {
        time(count, |number| module.call(|logic| logic.next(number)).expect("it doesn't panic"))
    }));
    contenders.push(Contender::new("liveswap, one call, sharing the state", |count| {
        time(count, |number| module.call(|logic| logic.next_shared(number)).expect("it doesn't panic"))
    }));
    contenders.push(Contender::new("liveswap, one call, with the state alone", |count| {
        time(count, |number| module.call(|logic| logic.next_alone(number)).expect("it doesn't panic"))
    }));

    let (mut figures, mut spread) = (Vec::new(), Vec::new());
    let own = |name: &str| name.starts_with("liveswap");
    let row = |of: &Contender| Row { name: of.name.to_owned(), is_own: own(of.name), values: Vec::new() };
    let mut rows: Vec<Row> = contenders.iter().map(row).collect();
    for threads in [1, 2] {
        let times = contest::hold(&contenders, threads, options.either(30, 300));
        let at = if threads == 1 { "at 1 thread" } else { "at 2 threads" };
        for (of_one, row) in times.iter().zip(&mut rows) {
            row.values.push(of_one.median());
            let (low, high) = of_one.spread();
            let cells = [low, of_one.median(), high].map(|value| format!("{} ns", number(value)));
            spread.push((format!("{}, {at}", of_one.name), cells.into()));
            let figure = Figure::new(format!("{}, {at}", of_one.name), of_one.median(), "ns");
            let figure = if of_one.name == POINTER {
                figure
            } else {
                figure.compared(format!("{POINTER}, {at}"), of_one.ratio_to(&times[0]))
            };
            figures.push(match of_one.name {
                HELD => figure.target(Target::RatioAtMost(1.3)),
                ONE => figure.target(Target::RatioAtMost(1.6)),
                _ => figure,
            });
        }
    }
    Chapter {
        title: "A call",
        text: "One method that adds 1, and panics if that doesn't fit, called over and over, each call's argument being the \
               result of the one before. All call into the same library, which lies far from the program: processors may \
               take longer to get there, as the row within the program shows. Of a held handle, a unit of work makes many \
               calls; one call enters and leaves each time."
            .to_owned(),
        figures,
        tables: vec![Table {
            title: "How much it varies from round to round".to_owned(),
            columns: ["p10", "p50", "p90"].map(str::to_owned).into(),
            rows: spread,
        }],
        bars: vec![Bars {
            title: "What a call takes".to_owned(),
            unit: "ns",
            of: ["at 1 thread", "at 2 threads"].map(str::to_owned).into(),
            rows,
        }],
        ..Chapter::default()
    }
}
