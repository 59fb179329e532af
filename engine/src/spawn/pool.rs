//! A pool: so many jobs run at once, each on a thread of its own, and so many wait in each lane.
//!
//! A job's thread ends with it, so nothing of a version stays behind on one. The thread of the next one is
//! started by the one that ends, or by whoever spawns while there is room.
//!
//! **How threads end.** A thread that has run its job joins the one that did so before it. So joining the
//! last of them is joining them all, and not more than one that has ended waits for being joined.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use liveswap_state::{Job, Lane, SpawnError};

use super::lanes::Lanes;
use super::work::Owner;
use crate::call::{Bell, owed};
use crate::lock::lock;
use crate::tell::tell;

/// The jobs of one module, or of all that have no pool of their own.
pub(crate) struct JobPool {
    pub(super) running_max: usize,
    /// In each lane.
    pub(super) waiting_max: usize,
    queue: Mutex<Queue>,
    /// Rung when a thread has run its job.
    done: Bell,
}

struct Queue {
    /// False once the engine ends.
    is_open: bool,
    /// Empty unless as many run as may.
    waiting: Lanes<Named>,
    running: Vec<Running>,
    /// The thread that was the last to run its job.
    last: Option<JoinHandle<()>>,
}

/// What people call a job, and whose it is.
#[derive(Clone)]
pub(crate) struct Label {
    pub(crate) owner: Arc<Owner>,
    pub(crate) method: &'static str,
    /// Whether it's due at its time, and not spawned: then it was counted when it was set.
    pub(crate) is_due: bool,
}

/// A job, with that.
struct Named {
    label: Label,
    job: Job,
}

struct Running {
    handle: JoinHandle<()>,
    owner: Arc<Owner>,
    lane: Lane,
}

impl Named {
    fn run(self) {
        let Self { label: Label { owner, method, .. }, job } = self;
        // The panic of logic is an error here. But arguments that the call isn't made with are dropped here,
        // and their destructors are the host's own code.
        if let Some(Err(error)) = tell(job) {
            tell(|| tracing::warn!(module = owner.name, method, "a spawned call failed: {error}"));
        }
    }
}

impl JobPool {
    pub(super) fn new(running_max: usize, waiting_max: usize) -> Self {
        let queue = Queue { is_open: true, waiting: Lanes::new(), running: Vec::new(), last: None };
        Self { running_max, waiting_max, queue: Mutex::new(queue), done: Bell::new() }
    }

    /// Takes over what `job` makes, to run it at once or later. On an error it hasn't been made.
    pub(super) fn take_over(
        self: &Arc<Self>,
        lane: Lane,
        label: &Label,
        job: impl FnOnce() -> Job,
    ) -> Result<(), SpawnError> {
        self.add(lane, label, self.waiting_max, job)
    }

    /// The same, however many wait: whoever calls this bounds that in another way.
    pub(crate) fn put(
        self: &Arc<Self>,
        lane: Lane,
        label: &Label,
        job: impl FnOnce() -> Job,
    ) -> Result<(), SpawnError> {
        self.add(lane, label, usize::MAX, job)
    }

    fn add(
        self: &Arc<Self>,
        lane: Lane,
        label: &Label,
        waiting_max: usize,
        job: impl FnOnce() -> Job,
    ) -> Result<(), SpawnError> {
        let named = || Named { label: label.clone(), job: job() };
        let mut queue = lock(&self.queue);
        if !queue.is_open || label.owner.has_ended() {
            return Err(SpawnError::Stopped);
        }
        if queue.running.len() < self.running_max {
            let thread = self.start(&mut queue, lane, label);
            let thread = thread.map_err(|error| SpawnError::NoThread { reason: error.to_string() })?;
            give(&thread, named());
        } else if queue.waiting.waiting(lane) < waiting_max {
            queue.waiting.push(lane, named());
        } else {
            return Err(SpawnError::Full { running: self.running_max, waiting: waiting_max, lane });
        }
        Ok(())
    }

    /// Starts the thread of a job, which is then [given](give) to it: if there is no thread to be had, the
    /// job is still where it was.
    fn start(self: &Arc<Self>, queue: &mut Queue, lane: Lane, label: &Label) -> io::Result<Sender<Named>> {
        let (thread, given) = bounded(1);
        let (pool, Label { owner, method, .. }) = (self.clone(), label);
        let handle = thread::Builder::new().name(format!("{}.{method}", owner.name)).spawn(move || {
            let mut next: Option<Named> = given.recv().ok();
            while let Some(named) = next {
                named.run();
                // Here and not at the thread's end, which is waited for without a deadline.
                owed::settle_own();
                next = pool.finish();
            }
        })?;
        queue.running.push(Running { handle, owner: owner.clone(), lane });
        Ok(thread)
    }

    /// This thread has run its job, and makes room for the next one. That comes back if the system gives it
    /// no thread: better under another's name than not at all.
    fn finish(self: &Arc<Self>) -> Option<Named> {
        let mut queue = lock(&self.queue);
        let this = thread::current().id();
        let place = queue.running.iter().position(|running| running.handle.thread().id() == this);
        if let Some((lane, next)) = queue.waiting.pop() {
            match (self.start(&mut queue, lane, &next.label), place) {
                (Ok(thread), _) => give(&thread, next),
                (Err(_), place) => {
                    if let Some(place) = place {
                        queue.running[place].owner = next.label.owner.clone();
                        queue.running[place].lane = lane;
                    }
                    return Some(next);
                }
            }
        }
        let this = place.map(|place| queue.running.swap_remove(place).handle);
        let before = std::mem::replace(&mut queue.last, this);
        drop(queue);
        self.done.ring();
        join(before);
        None
    }

    /// How many of a module's jobs run in each lane, and how many wait there.
    pub(super) fn count(&self, owner: &Arc<Owner>) -> [(usize, usize); 3] {
        let queue = lock(&self.queue);
        Lane::ALL.map(|lane| {
            let is_running = |running: &&Running| running.lane == lane && Arc::ptr_eq(&running.owner, owner);
            let is_waiting = |named: &&Named| Arc::ptr_eq(&named.label.owner, owner);
            let running = queue.running.iter().filter(is_running).count();
            (running, queue.waiting.iter(lane).filter(is_waiting).count())
        })
    }

    /// The owner has [ended](Owner::end): its jobs that wait are dropped. How many of them were spawned.
    pub(super) fn forget(&self, owner: &Arc<Owner>) -> usize {
        let waiting = lock(&self.queue).waiting.take_if(|named| Arc::ptr_eq(&named.label.owner, owner));
        drop_all(waiting)
    }

    /// No job begins any more, and those that wait are dropped. How many of them were spawned.
    pub(super) fn close(&self) -> usize {
        let mut queue = lock(&self.queue);
        queue.is_open = false;
        let waiting = queue.waiting.take_if(|_| true);
        drop(queue);
        drop_all(waiting)
    }

    /// Whether it's closed and no thread of it runs any more. [Joining](Self::join) it takes no time then.
    pub(super) fn is_over(&self) -> bool {
        let queue = lock(&self.queue);
        let has_last_ended = queue.last.as_ref().is_none_or(JoinHandle::is_finished);
        !queue.is_open && queue.running.is_empty() && has_last_ended
    }

    /// Waits until the threads of all jobs have ended, or until `deadline`; what still runs then goes on.
    pub(super) fn join(&self, deadline: Option<Instant>) {
        loop {
            let rings = self.done.rings();
            if lock(&self.queue).running.is_empty() || !self.done.wait(rings, deadline) {
                break;
            }
        }
        let last = lock(&self.queue).last.take();
        join(last);
    }

    /// Whether this is the thread of a job, in a subscriber.
    pub(super) fn is_this_thread(&self) -> bool {
        let this = thread::current().id();
        lock(&self.queue).running.iter().any(|running| running.handle.thread().id() == this)
    }
}

/// Drops jobs that have waited. How many of them were spawned.
fn drop_all(waiting: Vec<Named>) -> usize {
    let count = waiting.iter().filter(|named| !named.label.is_due).count();
    for named in waiting {
        // Destructors of the arguments are the host's own code.
        tell(|| drop(named));
    }
    count
}

fn give(thread: &Sender<Named>, named: Named) {
    // The thread waits for it, and for nothing else.
    let _ = thread.send(named);
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // It runs no code that panics; if it did all the same, there is nothing left to do for it.
        let _ = thread.join();
    }
}
