//! Jobs: so many run at once, each on a thread of its own, and so many wait.
//!
//! A job's thread ends with it, so nothing of a version stays behind on one. The thread of the next one is
//! started by the one that ends, or by whoever spawns while there is room.
//!
//! **How threads end.** A thread that has run its job joins the one that did so before it. So joining the
//! last of them is joining them all, and not more than one that has ended waits for being joined.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded};
use liveswap_state::{Job, SpawnError};

use crate::call::{Bell, owed};
use crate::lock::lock;
use crate::tell::tell;

/// The jobs of one engine.
pub(crate) struct Jobs {
    running_max: usize,
    waiting_max: usize,
    queue: Mutex<Queue>,
    /// Rung when a thread has run its job.
    done: Bell,
}

struct Queue {
    /// False once the engine ends.
    is_open: bool,
    /// Empty unless as many run as may.
    waiting: VecDeque<Named>,
    running: Vec<JoinHandle<()>>,
    /// The thread that was the last to run its job.
    last: Option<JoinHandle<()>>,
}

/// A job, with what people call it.
struct Named {
    module: String,
    method: &'static str,
    job: Job,
}

impl Named {
    fn run(self) {
        let Self { module, method, job } = self;
        // The panic of logic is an error here. But arguments that the call isn't made with are dropped here,
        // and their destructors are the host's own code.
        if let Some(Err(error)) = tell(job) {
            tell(|| tracing::warn!(module, method, "a spawned call failed: {error}"));
        }
    }
}

impl Jobs {
    pub(crate) fn new(running_max: usize, waiting_max: usize) -> Self {
        let queue = Queue { is_open: true, waiting: VecDeque::new(), running: Vec::new(), last: None };
        Self { running_max, waiting_max, queue: Mutex::new(queue), done: Bell::new() }
    }

    /// Takes over what `job` makes, to run it at once or later. On an error it hasn't been made.
    pub(super) fn take_over(
        self: &Arc<Self>,
        module: &str,
        method: &'static str,
        job: impl FnOnce() -> Job,
    ) -> Result<(), SpawnError> {
        let named = || Named { module: module.to_owned(), method, job: job() };
        let mut queue = lock(&self.queue);
        if !queue.is_open {
            return Err(SpawnError::Stopped);
        }
        if queue.running.len() < self.running_max {
            let thread = self.start(&mut queue, module, method);
            let thread = thread.map_err(|error| SpawnError::NoThread { reason: error.to_string() })?;
            give(&thread, named());
        } else if queue.waiting.len() < self.waiting_max {
            queue.waiting.push_back(named());
        } else {
            return Err(SpawnError::Full { running: self.running_max, waiting: self.waiting_max });
        }
        Ok(())
    }

    /// Starts the thread of a job, which is then [given](give) to it: if there is no thread to be had, the
    /// job is still where it was.
    fn start(self: &Arc<Self>, queue: &mut Queue, module: &str, method: &str) -> io::Result<Sender<Named>> {
        let (thread, given) = bounded(1);
        let jobs = self.clone();
        let handle = thread::Builder::new().name(format!("{module}.{method}")).spawn(move || {
            let mut next: Option<Named> = given.recv().ok();
            while let Some(named) = next {
                named.run();
                // Here and not at the thread's end, which is waited for without a deadline.
                owed::settle_own();
                next = jobs.finish();
            }
        })?;
        queue.running.push(handle);
        Ok(thread)
    }

    /// This thread has run its job, and makes room for the next one. That comes back if the system gives it
    /// no thread: better under another's name than not at all.
    fn finish(self: &Arc<Self>) -> Option<Named> {
        let mut queue = lock(&self.queue);
        if let Some(next) = queue.waiting.pop_front() {
            match self.start(&mut queue, &next.module, next.method) {
                Ok(thread) => give(&thread, next),
                Err(_) => return Some(next),
            }
        }
        let this = thread::current().id();
        let place = queue.running.iter().position(|handle| handle.thread().id() == this);
        let this = place.map(|place| queue.running.swap_remove(place));
        let before = std::mem::replace(&mut queue.last, this);
        drop(queue);
        self.done.ring();
        join(before);
        None
    }

    /// The engine ends: no job begins any more, and those that wait are dropped.
    pub(crate) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.is_open = false;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        let count = waiting.len();
        for named in waiting {
            // Destructors of the arguments are the host's own code.
            tell(|| drop(named));
        }
        if count > 0 {
            tell(|| tracing::warn!(count, "dropped spawned calls that were waiting: the engine ends"));
        }
    }

    /// Waits until the threads of all jobs have ended, or until `deadline`; what still runs then goes on.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
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
    pub(crate) fn is_this_thread(&self) -> bool {
        let this = thread::current().id();
        lock(&self.queue).running.iter().any(|handle| handle.thread().id() == this)
    }
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
