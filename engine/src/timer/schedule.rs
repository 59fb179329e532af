//! What is due when, as a pure machine: no clock, no thread. Whoever has a clock says what time it is.
//!
//! A timer is *set*, comes *due*, and *begins* when the pool has a thread for it. It keeps its place among its module's
//! timers until it begins or would have, also when it was called off after it came due: what waits in the pool for it
//! is bounded by that.
//!
//! A tick is due again and again. One that is due while the one before is still under way is skipped, and counted.
//!
//! Nothing of a module is due before that has begun.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Timers that keep `J` until they begin, and the times of ticks.
pub(super) struct Schedule<J> {
    modules: Vec<Module>,
    /// By number.
    timers: BTreeMap<u64, Timer<J>>,
    /// The timers of modules that have begun, and their numbers, the first one first.
    due: BTreeSet<(Instant, u64)>,
    ticks: Vec<Tick>,
    /// The number of the next timer.
    next: u64,
    /// How many timers a module may have.
    max: usize,
}

#[derive(Default)]
struct Module {
    has_begun: bool,
    timers: usize,
}

struct Timer<J> {
    module: usize,
    at: Instant,
    /// None once it was called off.
    job: Option<J>,
    is_due: bool,
}

pub(super) struct Tick {
    pub(super) module: usize,
    pub(super) period: Duration,
    /// None until the module has begun.
    at: Option<Instant>,
    is_under_way: bool,
    pub(super) counts: TickCounts,
}

/// What became of a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TickCounts {
    pub(super) begun: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

/// What is to be handed to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The timer with this number.
    Timer(u64),
    /// The tick at this place.
    Tick(usize),
}

impl<J> Schedule<J> {
    /// `first` is the number of the first timer.
    pub(super) fn new(max: usize, first: u64) -> Self {
        Self {
            modules: Vec::new(),
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            ticks: Vec::new(),
            next: first,
            max,
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// One module more; its number.
    pub(super) fn add_module(&mut self) -> usize {
        self.modules.push(Module::default());
        self.modules.len() - 1
    }

    /// Whether the module may set one timer more.
    pub(super) fn has_room(&self, module: usize) -> bool {
        self.modules[module].timers < self.max
    }

    /// How many timers of the module haven't begun.
    pub(super) fn timers(&self, module: usize) -> usize {
        self.modules[module].timers
    }

    /// Sets a timer; its number.
    pub(super) fn set(&mut self, module: usize, at: Instant, job: J) -> u64 {
        let number = self.next;
        self.next += 1;
        self.modules[module].timers += 1;
        self.timers.insert(number, Timer { module, at, job: Some(job), is_due: false });
        if self.modules[module].has_begun {
            self.due.insert((at, number));
        }
        number
    }

    /// What a timer keeps that is set or due; none if it was called off.
    pub(super) fn kept(&self, number: u64) -> Option<&J> {
        self.timers.get(&number)?.job.as_ref()
    }

    /// Calls a timer of the module's off. What it kept; none if there is no such timer that hasn't begun.
    pub(super) fn cancel(&mut self, module: usize, number: u64) -> Option<J> {
        let timer = self.timers.get_mut(&number).filter(|timer| timer.module == module)?;
        let job = timer.job.take()?;
        if !timer.is_due {
            self.due.remove(&(timer.at, number));
            self.remove(number);
        }
        Some(job)
    }

    /// One tick more; its place.
    pub(super) fn add_tick(&mut self, module: usize, period: Duration, now: Instant) -> usize {
        let at = self.modules[module].has_begun.then(|| now + period);
        let counts = TickCounts::default();
        self.ticks.push(Tick { module, period, at, is_under_way: false, counts });
        self.ticks.len() - 1
    }

    pub(super) fn ticks(&self) -> impl Iterator<Item = &Tick> {
        self.ticks.iter()
    }

    /// The module has a version. True if it's the first.
    pub(super) fn begin(&mut self, module: usize, now: Instant) -> bool {
        if std::mem::replace(&mut self.modules[module].has_begun, true) {
            return false;
        }
        let held = self.timers.iter().filter(|(_, timer)| timer.module == module);
        self.due.extend(held.map(|(number, timer)| (timer.at, *number)));
        for tick in self.ticks.iter_mut().filter(|tick| tick.module == module) {
            tick.at = Some(now + tick.period);
        }
        true
    }

    /// When something will be due.
    pub(super) fn next(&self) -> Option<Instant> {
        let ticks = self.ticks.iter().filter_map(|tick| tick.at);
        ticks.chain(self.due.first().map(|(at, _)| *at)).min()
    }

    /// What is due by now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(&(at, number)) = self.due.first()
            && at <= now
        {
            self.due.pop_first();
            if let Some(timer) = self.timers.get_mut(&number) {
                timer.is_due = true;
                due.push(Due::Timer(number));
            }
        }
        for (place, tick) in self.ticks.iter_mut().enumerate() {
            let Some(at) = tick.at.filter(|at| *at <= now) else { continue };
            // In step with the first one, unless that is over already: what was missed isn't made up for.
            tick.at = Some(at + tick.period).filter(|next| *next > now).or(Some(now + tick.period));
            if std::mem::replace(&mut tick.is_under_way, true) {
                tick.counts.skipped += 1;
            } else {
                due.push(Due::Tick(place));
            }
        }
        due
    }

    /// What came due couldn't be handed over: it's due again at another time.
    pub(super) fn defer(&mut self, due: Due, until: Instant) {
        match due {
            Due::Timer(number) => {
                let Some(timer) = self.timers.get_mut(&number) else { return };
                (timer.at, timer.is_due) = (until, false);
                if timer.job.is_some() {
                    self.due.insert((until, number));
                } else {
                    self.remove(number);
                }
            }
            Due::Tick(place) => {
                self.ticks[place].is_under_way = false;
                self.ticks[place].counts.skipped += 1;
            }
        }
    }

    /// A timer that was due begins. What it kept; none if it was called off.
    pub(super) fn start(&mut self, number: u64) -> Option<J> {
        self.remove(number)?.job
    }

    fn remove(&mut self, number: u64) -> Option<Timer<J>> {
        let timer = self.timers.remove(&number)?;
        self.modules[timer.module].timers -= 1;
        Some(timer)
    }

    /// A tick begins.
    pub(super) fn start_tick(&mut self, place: usize) {
        self.ticks[place].counts.begun += 1;
    }

    /// A tick is over.
    pub(super) fn end_tick(&mut self, place: usize, has_failed: bool) {
        let tick = &mut self.ticks[place];
        tick.is_under_way = false;
        tick.counts.failed += u64::from(has_failed);
    }

    /// Nothing is due any more. All that was kept.
    pub(super) fn close(&mut self) -> Vec<J> {
        self.due.clear();
        self.ticks.iter_mut().for_each(|tick| tick.at = None);
        self.modules.iter_mut().for_each(|module| module.timers = 0);
        std::mem::take(&mut self.timers).into_values().filter_map(|timer| timer.job).collect()
    }
}

#[cfg(test)]
mod tests;
