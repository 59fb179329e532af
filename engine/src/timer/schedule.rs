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
    /// By number. No number is given out twice, so one of a module that has gone is nobody else's.
    modules: BTreeMap<usize, Module>,
    /// The number of the next module.
    next_module: usize,
    /// By number.
    timers: BTreeMap<u64, Timer<J>>,
    /// The timers of modules that have begun, and their numbers, the first one first.
    due: BTreeSet<(Instant, u64)>,
    /// By number, as the modules.
    ticks: BTreeMap<usize, Tick>,
    /// The number of the next tick.
    next_tick: usize,
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
    /// The tick with this number.
    Tick(usize),
}

impl<J> Schedule<J> {
    /// `first` is the number of the first timer.
    pub(super) fn new(max: usize, first: u64) -> Self {
        Self {
            modules: BTreeMap::new(),
            next_module: 0,
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            ticks: BTreeMap::new(),
            next_tick: 0,
            next: first,
            max,
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// One module more; its number.
    pub(super) fn add_module(&mut self) -> usize {
        let number = self.next_module;
        self.next_module += 1;
        self.modules.insert(number, Module::default());
        number
    }

    /// The module goes with its timers and its ticks. What the timers kept, and the numbers of the ticks.
    pub(super) fn remove_module(&mut self, module: usize) -> (Vec<J>, Vec<usize>) {
        self.modules.remove(&module);
        let timers = &mut self.timers;
        self.due.retain(|(_, number)| timers.get(number).is_some_and(|timer| timer.module != module));
        let gone = timers.extract_if(.., |_, timer| timer.module == module);
        let kept = gone.filter_map(|(_, timer)| timer.job).collect();
        let ticks = self.ticks.extract_if(.., |_, tick| tick.module == module);
        (kept, ticks.map(|(number, _)| number).collect())
    }

    /// Whether there is such a module.
    pub(super) fn has_module(&self, module: usize) -> bool {
        self.modules.contains_key(&module)
    }

    /// Whether the module may set one timer more.
    pub(super) fn has_room(&self, module: usize) -> bool {
        self.has_module(module) && self.timers(module) < self.max
    }

    /// How many timers of the module haven't begun.
    pub(super) fn timers(&self, module: usize) -> usize {
        self.modules.get(&module).map_or(0, |module| module.timers)
    }

    /// Sets a timer of a module that [has room](Self::has_room); its number.
    pub(super) fn set(&mut self, module: usize, at: Instant, job: J) -> u64 {
        let number = self.next;
        self.next += 1;
        self.timers.insert(number, Timer { module, at, job: Some(job), is_due: false });
        let module = self.modules.get_mut(&module).expect("it has room");
        module.timers += 1;
        if module.has_begun {
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

    /// One tick more, of a module that there is; its number.
    pub(super) fn add_tick(&mut self, module: usize, period: Duration, now: Instant) -> usize {
        let at = self.modules.get(&module).filter(|module| module.has_begun).map(|_| now + period);
        let (number, counts) = (self.next_tick, TickCounts::default());
        self.next_tick += 1;
        self.ticks.insert(number, Tick { module, period, at, is_under_way: false, counts });
        number
    }

    /// In the order in which they came.
    pub(super) fn ticks(&self) -> impl Iterator<Item = &Tick> {
        self.ticks.values()
    }

    /// The module has a version. True if it's the first.
    pub(super) fn begin(&mut self, module: usize, now: Instant) -> bool {
        let begun = self.modules.get_mut(&module).map(|module| &mut module.has_begun);
        if begun.is_none_or(|has_begun| std::mem::replace(has_begun, true)) {
            return false;
        }
        let held = self.timers.iter().filter(|(_, timer)| timer.module == module);
        self.due.extend(held.map(|(number, timer)| (timer.at, *number)));
        for tick in self.ticks.values_mut().filter(|tick| tick.module == module) {
            tick.at = Some(now + tick.period);
        }
        true
    }

    /// When something will be due.
    pub(super) fn next(&self) -> Option<Instant> {
        let ticks = self.ticks.values().filter_map(|tick| tick.at);
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
        for (&number, tick) in &mut self.ticks {
            let Some(at) = tick.at.filter(|at| *at <= now) else { continue };
            // In step with the first one, unless that is over already: what was missed isn't made up for.
            tick.at = Some(at + tick.period).filter(|next| *next > now).or(Some(now + tick.period));
            if std::mem::replace(&mut tick.is_under_way, true) {
                tick.counts.skipped += 1;
            } else {
                due.push(Due::Tick(number));
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
            Due::Tick(number) => {
                let Some(tick) = self.ticks.get_mut(&number) else { return };
                tick.is_under_way = false;
                tick.counts.skipped += 1;
            }
        }
    }

    /// A timer that was due begins. What it kept; none if it was called off.
    pub(super) fn start(&mut self, number: u64) -> Option<J> {
        self.remove(number)?.job
    }

    fn remove(&mut self, number: u64) -> Option<Timer<J>> {
        let timer = self.timers.remove(&number)?;
        if let Some(module) = self.modules.get_mut(&timer.module) {
            module.timers -= 1;
        }
        Some(timer)
    }

    /// A tick begins.
    pub(super) fn start_tick(&mut self, number: usize) {
        if let Some(tick) = self.ticks.get_mut(&number) {
            tick.counts.begun += 1;
        }
    }

    /// A tick is over.
    pub(super) fn end_tick(&mut self, number: usize, has_failed: bool) {
        let Some(tick) = self.ticks.get_mut(&number) else { return };
        tick.is_under_way = false;
        tick.counts.failed += u64::from(has_failed);
    }

    /// Nothing is due any more. All that was kept.
    pub(super) fn close(&mut self) -> Vec<J> {
        self.due.clear();
        self.ticks.values_mut().for_each(|tick| tick.at = None);
        self.modules.values_mut().for_each(|module| module.timers = 0);
        std::mem::take(&mut self.timers).into_values().filter_map(|timer| timer.job).collect()
    }
}

#[cfg(test)]
mod tests;
