//! One module's work in the background: what becomes of its spawned calls, its timers and its ticks.
//!
//! It knows the module by name and number, and neither its interface nor its versions: a job is the host's own closure,
//! whatever it calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use liveswap_state::{CallError, Job, Lane, SpawnError, TimerId};

use super::jobs::OwnPools;
use super::pool::{JobPool, Label};
use crate::status::{LaneStatus, LanesStatus, WorkStatus};
use crate::tell::tell;
use crate::timer::{Recipient, Timers};

/// Whose a job is: one module, and not a later one of its name.
pub(crate) struct Owner {
    pub(crate) name: String,
    has_ended: AtomicBool,
}

impl Owner {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), has_ended: AtomicBool::new(false) }
    }

    /// Nothing of it begins any more. Whoever then takes out what it has in a pool misses nothing, because who puts
    /// something in looks under the pool's lock whether it [has ended](Self::has_ended). True if it hadn't yet.
    fn end(&self) -> bool {
        // Relaxed: the pool's lock orders it.
        !self.has_ended.swap(true, Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Relaxed)
    }
}

pub(crate) struct Work {
    pub(super) owner: Arc<Owner>,
    /// The module's place among those that have timers.
    pub(super) number: usize,
    pub(super) pool: Arc<JobPool>,
    /// The list that the pool is on, if it's the module's own.
    pub(super) own_pools: Option<Arc<OwnPools>>,
    pub(super) timers: Arc<Timers>,
    /// How many spawned calls were refused, and timers.
    pub(super) refused: AtomicU64,
}

impl Work {
    /// Takes over what `job` makes. On an error it hasn't been made.
    pub(super) fn spawn(
        &self,
        lane: Lane,
        method: &'static str,
        job: impl FnOnce() -> Job,
    ) -> Result<(), SpawnError> {
        let label = Label { owner: self.owner.clone(), method, is_due: false };
        self.counted(self.pool.take_over(lane, &label, job))
    }

    /// The same, for after a time.
    pub(super) fn spawn_after(
        &self,
        delay: Duration,
        method: &'static str,
        job: impl FnOnce() -> Job,
    ) -> Result<TimerId, SpawnError> {
        self.counted(self.timers.set(&self.recipient(), method, delay, job))
    }

    /// Counts a call that was refused before it got this far, too.
    pub(super) fn counted<T>(&self, outcome: Result<T, SpawnError>) -> Result<T, SpawnError> {
        outcome.inspect_err(|_| {
            // Relaxed: a count that nothing is concluded from.
            self.refused.fetch_add(1, Ordering::Relaxed);
        })
    }

    pub(super) fn cancel_timer(&self, timer: TimerId) -> bool {
        self.timers.cancel(self.number, timer)
    }

    /// Has something done each time that so much time has passed, once the module has a version.
    ///
    /// # Errors
    ///
    /// If the system gives no thread for the timers.
    pub(crate) fn tick(
        &self,
        period: Duration,
        tick: impl Fn() -> Result<(), CallError> + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        self.timers.tick(self.recipient(), period, Arc::new(tick))
    }

    /// The module has an active version: its timers may come due.
    pub(crate) fn begin(&self) {
        self.timers.begin(self.number);
    }

    /// The module is closed for good, or was never taken: what is set and what waits is dropped, nothing more is taken
    /// over, and its places are given back. What runs goes on to its end. May be called again.
    pub(crate) fn end(&self) {
        if !self.owner.end() {
            return;
        }
        let timers = self.timers.end(self.number);
        let mut calls = self.pool.forget(&self.owner);
        if let Some(own_pools) = &self.own_pools {
            calls += self.pool.close();
            own_pools.tidy();
        }
        if timers + calls > 0 {
            let module = &self.owner.name;
            tell(|| {
                tracing::warn!(module, timers, calls, "dropped what the module had waiting: it has ended")
            });
        }
    }

    fn recipient(&self) -> Recipient {
        Recipient { number: self.number, owner: self.owner.clone(), pool: self.pool.clone() }
    }

    pub(crate) fn status(&self) -> WorkStatus {
        let lanes = self.pool.count(&self.owner);
        let [high, normal, low] = lanes.map(|(running, waiting)| LaneStatus { running, waiting });
        let (timers, ticks) = self.timers.status(self.number);
        WorkStatus {
            has_own_pool: self.own_pools.is_some(),
            running_max: self.pool.running_max,
            waiting_max: self.pool.waiting_max,
            lanes: LanesStatus { high, normal, low },
            refused: self.refused.load(Ordering::Relaxed),
            timers,
            timers_max: self.timers.max(),
            ticks,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::spawn::{Bounds, Jobs};

    /// Nothing waits for it.
    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn jobs() -> Jobs {
        Jobs::new(Bounds { running_max: 1, waiting_max: 9 }, 9)
    }

    /// A job that holds this until it's dropped.
    fn holding(held: &Arc<()>) -> Job {
        let held = held.clone();
        Box::new(move || {
            drop(held);
            Ok(())
        })
    }

    /// Has the pool's one thread wait, until what is returned is dropped.
    fn occupy(work: &Work) -> mpsc::Sender<()> {
        let (held, released) = mpsc::channel();
        let wait = move || {
            // Nothing is ever sent.
            let _ = released.recv();
            Ok(())
        };
        work.spawn(Lane::Normal, "wait", || Box::new(wait)).unwrap();
        held
    }

    #[test]
    fn what_ends_gives_back_what_waits_and_takes_nothing_more() {
        let (jobs, held) = (jobs(), Arc::new(()));
        let (ends, stays) = (jobs.add_module("logic", None), jobs.add_module("logic", None));
        let occupied = occupy(&stays);
        for work in [&ends, &stays] {
            work.begin();
            work.spawn(Lane::Low, "waits", || holding(&held)).unwrap();
            work.spawn_after(HOUR, "is_set", || holding(&held)).unwrap();
            let ticking = held.clone();
            let tick = move || {
                let _ = &ticking;
                Ok(())
            };
            work.tick(HOUR, tick).unwrap();
        }
        assert_eq!(Arc::strong_count(&held), 7);
        ends.end();
        assert_eq!(Arc::strong_count(&held), 4);
        let spawned = ends.spawn(Lane::High, "late", || holding(&held));
        let set = ends.spawn_after(HOUR, "late", || holding(&held));
        assert!(matches!(spawned, Err(SpawnError::Stopped)), "{spawned:?}");
        assert!(matches!(set, Err(SpawnError::Stopped)), "{set:?}");
        let found = ends.status();
        assert_eq!((found.lanes, found.timers, found.ticks.len()), (LanesStatus::default(), 0, 0));
        // The other one of the same name is as it was.
        let found = stays.status();
        assert_eq!((found.lanes.low.waiting, found.timers, found.ticks.len()), (1, 1, 1));

        drop(occupied);
        jobs.close();
        jobs.join(None);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn a_pool_of_its_own_goes_with_its_last_call() {
        let jobs = jobs();
        let bounds = Bounds { running_max: 1, waiting_max: 9 };
        let work = jobs.add_module("logic", Some(bounds));
        let pool = Arc::downgrade(&work.pool);
        let occupied = occupy(&work);
        work.end();
        drop(work);
        jobs.add_module("other", Some(bounds));
        assert!(
            pool.upgrade().is_some_and(|pool| !pool.is_over()),
            "the end of the engine waits for that call"
        );
        drop(occupied);
        pool.upgrade().inspect(|pool| pool.join(None));
        jobs.add_module("another", Some(bounds));
        assert!(pool.upgrade().is_none());
    }
}
