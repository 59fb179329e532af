//! One module's work in the background: what becomes of its spawned calls, its timers and its ticks.
//!
//! It knows the module by name and number, and neither its interface nor its versions: a job is the host's own closure,
//! whatever it calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use liveswap_state::{CallError, Job, Lane, SpawnError, TimerId};

use super::pool::{JobPool, Label};
use crate::status::{LaneStatus, LanesStatus, WorkStatus};
use crate::timer::{Recipient, Timers};

pub(crate) struct Work {
    pub(super) module: Arc<str>,
    /// The module's place among those that have timers.
    pub(super) number: usize,
    pub(super) pool: Arc<JobPool>,
    pub(super) has_own_pool: bool,
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
        let label = Label { module: self.module.clone(), method, is_due: false };
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

    fn recipient(&self) -> Recipient {
        Recipient { number: self.number, module: self.module.clone(), pool: self.pool.clone() }
    }

    pub(crate) fn status(&self) -> WorkStatus {
        let lanes = self.pool.count(&self.module);
        let [high, normal, low] = lanes.map(|(running, waiting)| LaneStatus { running, waiting });
        let (timers, ticks) = self.timers.status(self.number);
        WorkStatus {
            has_own_pool: self.has_own_pool,
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
