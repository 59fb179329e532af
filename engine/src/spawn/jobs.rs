//! All jobs of one engine: the pools of its modules, and the timers that hand jobs to them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::pool::JobPool;
use super::work::{Owner, Work};
use crate::lock::lock;
use crate::tell::tell;
use crate::timer::Timers;

pub(crate) struct Jobs {
    /// For the modules that have none of their own.
    shared: Arc<JobPool>,
    own: Arc<OwnPools>,
    timers: Arc<Timers>,
}

/// The pools that modules have for themselves. Modules come while the engine runs, and may end.
#[derive(Default)]
pub(super) struct OwnPools(Mutex<Vec<Arc<JobPool>>>);

/// How much may run and wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) running_max: usize,
    /// In each lane.
    pub(crate) waiting_max: usize,
}

impl Jobs {
    /// `shared` bounds the modules that have no pool of their own, together.
    pub(crate) fn new(shared: Bounds, timers_max: usize) -> Self {
        Self { shared: pool(shared), own: Arc::default(), timers: Arc::new(Timers::new(timers_max)) }
    }

    /// Begins the work of a module, which may have a pool of its own.
    pub(crate) fn add_module(&self, name: &str, own: Option<Bounds>) -> Arc<Work> {
        let has_own_pool = own.is_some();
        let pool = own.map_or_else(|| self.shared.clone(), pool);
        if has_own_pool {
            self.own.tidy();
            lock(&self.own.0).push(pool.clone());
        }
        Arc::new(Work {
            owner: Arc::new(Owner::new(name)),
            number: self.timers.add_module(),
            pool,
            own_pools: has_own_pool.then(|| self.own.clone()),
            timers: self.timers.clone(),
            refused: AtomicU64::new(0),
        })
    }

    fn pools(&self) -> impl Iterator<Item = Arc<JobPool>> {
        let own = lock(&self.own.0).clone();
        own.into_iter().chain([self.shared.clone()])
    }

    /// The engine ends: no job begins any more, and those that wait are dropped.
    pub(crate) fn close(&self) {
        let timers = self.timers.close();
        if timers > 0 {
            tell(|| tracing::warn!(count = timers, "dropped timers that were set: the engine ends"));
        }
        let count: usize = self.pools().map(|pool| pool.close()).sum();
        if count > 0 {
            tell(|| tracing::warn!(count, "dropped spawned calls that were waiting: the engine ends"));
        }
    }

    /// Waits until the threads of all jobs have ended, or until `deadline`; what still runs then goes on.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
        self.timers.join();
        self.pools().for_each(|pool| pool.join(deadline));
    }

    /// Whether this is the thread of a job, or that of the timers, in a subscriber.
    pub(crate) fn is_this_thread(&self) -> bool {
        self.timers.is_this_thread() || self.pools().any(|pool| pool.is_this_thread())
    }
}

impl OwnPools {
    /// Forgets the pools that are over. One whose last call still runs stays for as long, since the end of the engine
    /// waits for that; it's forgotten when the next one comes or goes.
    pub(super) fn tidy(&self) {
        let over: Vec<_> = lock(&self.0).extract_if(.., |pool| pool.is_over()).collect();
        over.iter().for_each(|pool| pool.join(None));
    }
}

fn pool(Bounds { running_max, waiting_max }: Bounds) -> Arc<JobPool> {
    Arc::new(JobPool::new(running_max, waiting_max))
}
