//! Timers and ticks: calls that are due at a time, whichever version is active then.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | the thread `liveswap-timer`, which hands what is due to the pools |
//! | [`schedule`] | what is due when, as a pure machine |
//!
//! **The protocol.** What is to be done stays in the schedule until it begins: what goes into the pool is a job that
//! asks for it there. So a timer can be called off as long as it waits, wherever it does. The pool takes such a job
//! beyond its own bound, since a time that has come can't be refused any more; the bound is that of the module's
//! timers, and one job a tick.
//!
//! The thread is started with the first timer. It calls no code of logic's, and frees none of its arguments.

mod schedule;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use liveswap_state::{CallError, Job, Lane, SpawnError, TimerId};

use crate::lock::{lock, wait};
use crate::spawn::{JobPool, Label, Owner};
use crate::status::TickStatus;
use crate::tell::tell;
use schedule::{Due, Schedule};

/// The longest time that a timer may be set for: a hundred years, which a clock can add without an overflow.
const DELAY_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How long what can't have a thread waits for the next try.
const NEXT_TRY: Duration = Duration::from_secs(1);

/// The timers and ticks of one engine.
pub(crate) struct Timers {
    state: Mutex<State>,
    /// Something may be due sooner than the thread knows, or the engine ends.
    changed: Condvar,
}

struct State {
    /// False once the engine ends.
    is_open: bool,
    schedule: Schedule<Kept>,
    /// By the schedule's numbers.
    ticks: BTreeMap<usize, Tick>,
    thread: Option<JoinHandle<()>>,
}

/// Whose pool a job goes to.
#[derive(Clone)]
pub(crate) struct Recipient {
    /// The module's, from [`Timers::add_module`].
    pub(crate) number: usize,
    pub(crate) owner: Arc<Owner>,
    pub(crate) pool: Arc<JobPool>,
}

/// A timer's call, and where it goes.
struct Kept {
    recipient: Recipient,
    method: &'static str,
    job: Job,
}

type TickWork = Arc<dyn Fn() -> Result<(), CallError> + Send + Sync>;

struct Tick {
    recipient: Recipient,
    work: TickWork,
    /// Whether the one before has failed, and that was said.
    has_failed: bool,
}

impl Timers {
    pub(crate) fn new(max: usize) -> Self {
        // The time, so that no process has the numbers of one before. (It would have to set a thousand million timers a
        // second.)
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = u64::try_from(now.as_nanos()).unwrap_or_default();
        let schedule = Schedule::new(max, first);
        let state = State { is_open: true, schedule, ticks: BTreeMap::new(), thread: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// One module more; its number.
    pub(crate) fn add_module(&self) -> usize {
        lock(&self.state).schedule.add_module()
    }

    /// How many timers a module may have.
    pub(crate) fn max(&self) -> usize {
        lock(&self.state).schedule.max()
    }

    /// How many timers of the module haven't begun, and what became of its ticks.
    pub(crate) fn status(&self, module: usize) -> (usize, Vec<TickStatus>) {
        let state = lock(&self.state);
        let ticks = state.schedule.ticks().filter(|tick| tick.module == module).map(|tick| TickStatus {
            period_ms: u64::try_from(tick.period.as_millis()).unwrap_or(u64::MAX),
            begun: tick.counts.begun,
            failed: tick.counts.failed,
            skipped: tick.counts.skipped,
        });
        (state.schedule.timers(module), ticks.collect())
    }

    /// The module has ended: nothing of it is due any more, and its place is free. How many timers are dropped.
    pub(crate) fn end(&self, module: usize) -> usize {
        let mut state = lock(&self.state);
        let (kept, numbers) = state.schedule.remove_module(module);
        let ticks: Vec<_> = numbers.iter().filter_map(|number| state.ticks.remove(number)).collect();
        drop(state);
        drop_apart(ticks);
        drop_apart(kept)
    }

    /// Sets a timer for what `job` makes. On an error it hasn't been made.
    pub(crate) fn set(
        self: &Arc<Self>,
        recipient: &Recipient,
        method: &'static str,
        delay: Duration,
        job: impl FnOnce() -> Job,
    ) -> Result<TimerId, SpawnError> {
        let mut state = lock(&self.state);
        if !state.is_open || !state.schedule.has_module(recipient.number) {
            return Err(SpawnError::Stopped);
        }
        if !state.schedule.has_room(recipient.number) {
            let (module, timers) = (recipient.owner.name.clone(), state.schedule.max());
            return Err(SpawnError::TooManyTimers { module, timers });
        }
        self.run(&mut state).map_err(|error| SpawnError::NoThread { reason: error.to_string() })?;
        let at = Instant::now() + delay.min(DELAY_MAX);
        let kept = Kept { recipient: recipient.clone(), method, job: job() };
        let number = state.schedule.set(recipient.number, at, kept);
        drop(state);
        self.changed.notify_one();
        Ok(TimerId::of(number))
    }

    /// Calls a timer of the module's off. False if there is none that hasn't begun.
    pub(crate) fn cancel(&self, module: usize, timer: TimerId) -> bool {
        let kept = lock(&self.state).schedule.cancel(module, timer.number());
        let is_cancelled = kept.is_some();
        // Destructors of the arguments are the host's own code.
        tell(|| drop(kept));
        is_cancelled
    }

    /// Has something done each time that so much has passed, once the module has begun.
    pub(crate) fn tick(
        self: &Arc<Self>,
        recipient: Recipient,
        period: Duration,
        work: TickWork,
    ) -> io::Result<()> {
        let mut state = lock(&self.state);
        self.run(&mut state)?;
        let number = state.schedule.add_tick(recipient.number, period.min(DELAY_MAX), Instant::now());
        state.ticks.insert(number, Tick { recipient, work, has_failed: false });
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The module has a version. Called with each publish.
    pub(crate) fn begin(&self, module: usize) {
        if lock(&self.state).schedule.begin(module, Instant::now()) {
            self.changed.notify_one();
        }
    }

    /// Starts the thread, unless it runs.
    fn run(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if state.thread.is_none() {
            let timers = self.clone();
            let thread = thread::Builder::new().name("liveswap-timer".into());
            state.thread = Some(thread.spawn(move || timers.serve())?);
        }
        Ok(())
    }

    fn serve(self: Arc<Self>) {
        let mut state = lock(&self.state);
        while state.is_open {
            let now = Instant::now();
            let due = state.schedule.take_due(now);
            if due.is_empty() {
                let time = state.schedule.next().map(|next| next.saturating_duration_since(now));
                state = wait(&self.changed, &self.state, state, time);
                continue;
            }
            let due: Vec<_> = due.into_iter().map(|due| (due, state.recipient(due))).collect();
            drop(state);
            for (due, (recipient, method)) in due {
                self.hand_over(due, &recipient, method);
            }
            state = lock(&self.state);
        }
    }

    fn hand_over(self: &Arc<Self>, due: Due, recipient: &Recipient, method: &'static str) {
        let label = Label { owner: recipient.owner.clone(), method, is_due: true };
        let timers = self.clone();
        let handed_over = match due {
            Due::Timer(number) => recipient.pool.put(Lane::Normal, &label, || {
                Box::new(move || {
                    let kept = lock(&timers.state).schedule.start(number);
                    kept.map_or(Ok(()), |kept| (kept.job)())
                })
            }),
            // There are as many of these as the host says: what waits needn't fear them.
            Due::Tick(number) => recipient.pool.put(Lane::High, &label, || {
                Box::new(move || {
                    timers.make_tick(number);
                    Ok(())
                })
            }),
        };
        if let Err(error @ SpawnError::NoThread { .. }) = handed_over {
            lock(&self.state).schedule.defer(due, Instant::now() + NEXT_TRY);
            tell(|| tracing::warn!(module = recipient.owner.name, method, %error, "what is due has to wait"));
        }
    }

    /// Makes a tick, and says if it fails: once, and not each time anew.
    fn make_tick(&self, number: usize) {
        /// Also if it panics.
        struct Over<'timers> {
            timers: &'timers Timers,
            number: usize,
            has_failed: bool,
        }

        impl Drop for Over<'_> {
            fn drop(&mut self) {
                let mut state = lock(&self.timers.state);
                state.schedule.end_tick(self.number, self.has_failed);
                if let Some(tick) = state.ticks.get_mut(&self.number) {
                    tick.has_failed = self.has_failed;
                }
            }
        }

        let mut state = lock(&self.state);
        state.schedule.start_tick(number);
        // Its module may have ended since it came due.
        let Some(tick) = state.ticks.get(&number) else { return };
        let (work, owner, had_failed) = (tick.work.clone(), tick.recipient.owner.clone(), tick.has_failed);
        drop(state);
        let mut over = Over { timers: self, number, has_failed: true };
        match work() {
            Ok(()) => over.has_failed = false,
            // A module that ends is closed under what has begun just before, as all are when the engine does.
            Err(error) if !had_failed && lock(&self.state).ticks.contains_key(&number) => {
                tracing::warn!(
                    module = owner.name,
                    "a tick failed, and the next ones are silent about it: {error}"
                );
            }
            Err(_) => {}
        }
    }

    /// The engine ends: nothing is due any more, and the closures of its ticks are dropped. How many timers are.
    pub(crate) fn close(&self) -> usize {
        let mut state = lock(&self.state);
        state.is_open = false;
        let (kept, ticks) = (state.schedule.close(), std::mem::take(&mut state.ticks));
        drop(state);
        self.changed.notify_one();
        drop_apart(ticks);
        drop_apart(kept)
    }

    /// Waits until the thread has ended, after [`close`](Self::close).
    pub(crate) fn join(&self) {
        let thread = lock(&self.state).thread.take();
        if let Some(thread) = thread {
            // It runs no code that panics; if it did all the same, there is nothing left to do for it.
            let _ = thread.join();
        }
    }

    /// Whether this is the thread, in a subscriber.
    pub(crate) fn is_this_thread(&self) -> bool {
        let this = thread::current().id();
        lock(&self.state).thread.as_ref().is_some_and(|thread| thread.thread().id() == this)
    }
}

/// Drops what was kept, under no lock: what is in it is the host's own code. How many there were.
fn drop_apart<T>(kept: impl IntoIterator<Item = T>) -> usize {
    kept.into_iter().fold(0, |count, kept| {
        tell(|| drop(kept));
        count + 1
    })
}

impl State {
    /// To whom what is due goes, and what people call it.
    fn recipient(&self, due: Due) -> (Recipient, &'static str) {
        match due {
            Due::Timer(number) => {
                let kept = self.schedule.kept(number).expect("what is called off isn't due");
                (kept.recipient.clone(), kept.method)
            }
            Due::Tick(number) => {
                let tick = self.ticks.get(&number).expect("a module that has ended has nothing due");
                (tick.recipient.clone(), "tick")
            }
        }
    }
}
