//! Threads that each stay on a processor of their own.

use std::sync::{Barrier, Mutex};
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which processors are there for measuring.
pub(crate) struct Pinned {
    processors: Vec<usize>,
}

impl Pinned {
    /// So many threads. More of them than there are processors share those.
    pub(crate) fn new(threads: usize) -> Self {
        let allowed = allowed();
        let processors = (0..threads).map(|thread| allowed[thread % allowed.len()]).collect();
        Self { processors }
    }

    /// Runs `work` on all threads, which begin together, and gives what each returns. `work` is given the thread's
    /// number.
    pub(crate) fn run<R: Send>(&self, work: impl Fn(usize) -> R + Sync) -> Vec<R> {
        let begin = Barrier::new(self.processors.len());
        let results: Vec<Mutex<Option<R>>> = self.processors.iter().map(|_| Mutex::new(None)).collect();
        thread::scope(|scope| {
            for (number, (&processor, result)) in self.processors.iter().zip(&results).enumerate() {
                let (begin, work) = (&begin, &work);
                scope.spawn(move || {
                    stay_on(processor);
                    begin.wait();
                    *result.lock().expect("nobody else locks it") = Some(work(number));
                });
            }
        });
        let result = |result: Mutex<Option<R>>| result.into_inner().expect("no thread has panicked");
        results.into_iter().map(|of_thread| result(of_thread).expect("each has put one in")).collect()
    }
}

/// The processors that this process may run on.
pub(crate) fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).expect("a process may look at its own");
    (0..CpuSet::MAX_CPU).filter(|&processor| set.is_set(processor)).collect()
}

/// Keeps this thread on one processor.
pub(crate) fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).expect("a process may choose among its own processors");
}

/// Keeps this thread on one processor of all that are there; threads of different numbers stay on different ones, as far
/// as there are enough.
pub(crate) fn stay_on_one_of_all(number: usize) {
    let allowed = allowed();
    stay_on(allowed[number % allowed.len()]);
}
