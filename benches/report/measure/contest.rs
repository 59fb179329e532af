//! A contest: contenders that do the same thing take turns, and are compared round by round.
//!
//! A machine's speed changes from one moment to the next. What is measured in turns is disturbed alike, so the ratio
//! within a round means more than either time. The order changes from round to round, so that no contender always
//! comes after the same one.

use std::time::Duration;

use super::pinned::Pinned;
use super::{median, quantile};

/// Something that is measured by doing it often.
pub(crate) struct Contender<'run> {
    pub(crate) name: &'static str,
    /// Does it so many times on the thread that it is called on, and returns how long that took.
    pub(crate) run: Box<dyn Fn(u64) -> Duration + Sync + 'run>,
}

impl<'run> Contender<'run> {
    pub(crate) fn new(name: &'static str, run: impl Fn(u64) -> Duration + Sync + 'run) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// What a contender's rounds came to.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) name: &'static str,
    /// How long it took once, in nanoseconds: a mean for each round, of all threads.
    rounds: Vec<f64>,
}

impl Times {
    pub(crate) fn median(&self) -> f64 {
        median(self.rounds.iter().copied())
    }

    /// The tenth and the ninetieth of a hundred rounds.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let part = |part| quantile(self.rounds.iter().copied(), part);
        (part(0.1), part(0.9))
    }

    /// The median of the rounds' ratios.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        median(self.rounds.iter().zip(&other.rounds).map(|(this, other)| this / other))
    }
}

/// How long a contender runs in a round, about.
const TURN: Duration = Duration::from_millis(4);

/// Has the contenders take turns, on so many threads at once.
pub(crate) fn hold(contenders: &[Contender<'_>], threads: usize, rounds: usize) -> Vec<Times> {
    let pinned = Pinned::new(threads);
    let counts: Vec<u64> = contenders.iter().map(|contender| count(&pinned, contender)).collect();
    let mut times: Vec<Times> =
        contenders.iter().map(|Contender { name, .. }| Times { name, rounds: Vec::new() }).collect();
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let turn = (turn + round) % contenders.len();
            let (run, count) = (&contenders[turn].run, counts[turn]);
            let took = pinned.run(|_| run(count));
            let nanoseconds: f64 = took.iter().map(|took| took.as_nanos() as f64).sum();
            times[turn].rounds.push(nanoseconds / took.len() as f64 / count as f64);
        }
    }
    times
}

/// How many times fill a turn.
fn count(pinned: &Pinned, contender: &Contender<'_>) -> u64 {
    let mut count = 1;
    loop {
        let took = pinned.run(|_| (contender.run)(count)).into_iter().max().expect("there is a thread");
        if took * 2 > TURN {
            return count;
        }
        let more = TURN.as_nanos() / took.as_nanos().max(1);
        count *= u64::try_from(more.clamp(2, 10)).expect("it is at most 10");
    }
}
