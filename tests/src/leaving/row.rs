//! A row of the table: one thing that logic does in each call, from version to version.

use fixture_api::behaviours::Behaviour;

use super::callers::Callers;
use super::swapper::Swapper;
use super::{JUDGED_FROM, number, report, resident};
use crate::alone;

/// A row is run with as many threads as each of these says.
const THREADS: [usize; 2] = [1, 4];
/// The swaps are made in so many stretches. What each version leaves behind shows in the median of their growths
/// and in the growth overall, so the smaller of the two counts: a few megabytes that an allocator takes at once and
/// for good are in one stretch only, and those that it takes and gives back are gone in the end.
const STRETCHES: usize = 5;
/// The most memory, in bytes, that a swap may leave behind on average.
const GROWTH_PER_SWAP_MAX: usize = 1024;

/// One thing that logic does.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The test's name, by [`alone::name`].
    pub test: &'static str,
    /// What each call does.
    pub behaviour: Behaviour,
    /// How the library is varied, by features of its package.
    pub features: &'static [&'static str],
}

impl Row {
    /// Has the row run in processes of its own. In one of those, runs it.
    pub fn check(&self) {
        if let Some(threads) = alone::purpose() {
            return self.run(threads.parse().expect("it is the number of threads"));
        }
        let outcomes = THREADS.map(|threads| report(self.test, &threads.to_string()));
        let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }

    fn run(&self, threads: usize) {
        let swaps = number("LIVESWAP_SWAPS", 60);
        let warm_up = swaps / 5;
        let mut swapper = Swapper::new(self.features, |builder| builder);
        let callers = Callers::start(threads, &swapper.module());
        let swap = |swapper: &mut Swapper| {
            swapper.swap();
            callers.call(self.behaviour);
        };
        let mut memory_after = |swaps: usize| {
            (0..swaps).for_each(|_| swap(&mut swapper));
            resident(|| {
                swap(&mut swapper);
                swapper.wait_until_alone(|| callers.call(Behaviour::Nothing));
            })
        };
        let begin = memory_after(warm_up);
        let (stretch, mut before) = ((swaps - warm_up) / STRETCHES, begin);
        let mut growth: Vec<_> = (0..STRETCHES)
            .map(|_| {
                let after = memory_after(stretch);
                let grown = after.saturating_sub(before) / stretch;
                before = after;
                grown
            })
            .collect();
        growth.sort_unstable();
        let overall = before.saturating_sub(begin) / (STRETCHES * stretch);
        let per_swap = growth[STRETCHES / 2].min(overall);
        let mapped = swapper.mapped();

        // The threads first: they end with what the last version has left to them.
        callers.end();
        drop(swapper);
        let name = self.test.rsplit("::").next().unwrap_or_default();
        eprintln!(
            "{}{name:<40} {threads} threads {swaps:>6} swaps {:>8.2} KiB more each {mapped:>3} mapped",
            alone::REPORT,
            per_swap as f64 / 1024.0,
        );
        assert!(
            swaps < JUDGED_FROM || per_swap <= GROWTH_PER_SWAP_MAX,
            "memory grows by {per_swap} bytes a swap"
        );
    }
}
