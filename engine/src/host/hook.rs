//! Hooks: logic that the engine calls by itself, and not through a module's handle.
//!
//! A hook may never return. So those that a swap waits for run on a thread beside it ([`Hooks`]), and are waited for up
//! to a deadline. One that misses it keeps its thread, which holds its version until it returns, under its own name in
//! the status; the next hook gets another thread.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::call::{Footprint, Hold, owed};
use crate::lock::lock;
use crate::reply::{Answer, Reply, Waited, reply};

thread_local! {
    static HOOK: Cell<Option<&'static str>> = const { Cell::new(None) };
    /// This thread runs hooks that the control thread may be waiting for.
    static WORKS: Cell<bool> = const { Cell::new(false) };
}

/// Calls a hook of logic. A panic in it comes back fenced.
///
/// What the hook leaves on this thread is settled at once: the engine's own threads hold no version.
pub(crate) fn call<R>(footprint: &Footprint, name: &'static str, hook: impl FnOnce() -> R) -> R {
    let inside = owed::enter_hook(footprint);
    let outer = HOOK.replace(Some(name));
    let result = hook();
    HOOK.set(outer);
    drop(inside);
    owed::settle_own();
    result
}

/// The hook that this thread is in.
pub(super) fn name() -> Option<&'static str> {
    HOOK.get()
}

/// Why a hook has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoResult {
    /// It hasn't returned by its deadline.
    #[error(
        "`{hook}` hasn't returned within {deadline_ms} ms: its thread holds the version until it does (see the status); \
         mend it, or raise `hook_deadline`"
    )]
    Hung {
        /// The hook.
        hook: &'static str,
        /// The deadline, in milliseconds.
        deadline_ms: u64,
    },
    /// It hasn't returned since it was called before.
    #[error("`{hook}` of this version was called before and hasn't returned yet (see the status)")]
    StillRuns {
        /// The hook.
        hook: &'static str,
    },
    /// The system gives no thread for it.
    #[error("can't start a thread for `{hook}`: {source}: raise the limit of threads")]
    NoThread {
        /// The hook.
        hook: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Its thread has ended under it.
    #[error("the thread of `{hook}` has ended under it")]
    Died {
        /// The hook.
        hook: &'static str,
    },
}

impl NoResult {
    /// A short word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Hung { .. } | Self::StillRuns { .. } => "hook-hung",
            Self::NoThread { .. } => "no-thread",
            Self::Died { .. } => "hook-died",
        }
    }
}

/// Told that a hook has ended which somebody has given up.
type Notice = Arc<dyn Fn() + Send + Sync>;

/// Runs hooks on a thread beside the one that waits for them.
pub(crate) struct Hooks {
    deadline: Duration,
    ended_late: Notice,
    /// The thread that has returned from its last hook.
    idle: Mutex<Option<Worker>>,
}

/// A hook that was begun.
pub(crate) struct UnderWay<R> {
    name: &'static str,
    answer: Answer<R>,
    worker: Worker,
}

struct Worker {
    next: Reply<Job>,
    thread: JoinHandle<()>,
}

struct Job {
    run: Box<dyn FnOnce() + Send>,
    /// Where the thread gets its next one.
    next: Answer<Job>,
}

impl Hooks {
    /// `ended_late` is called on the hook's thread, which holds the version no longer by then.
    pub(crate) fn new(deadline: Duration, ended_late: impl Fn() + Send + Sync + 'static) -> Self {
        Self { deadline, ended_late: Arc::new(ended_late), idle: Mutex::new(None) }
    }

    /// Runs a hook, and waits for its result up to the deadline. A result that comes later is given to `late`, on the
    /// hook's own thread.
    pub(crate) fn run<R: Send + 'static>(
        &self,
        footprint: &Arc<Footprint>,
        name: &'static str,
        hook: impl FnOnce() -> R + Send + 'static,
        late: impl FnOnce(R) + Send + 'static,
    ) -> Result<R, NoResult> {
        self.run_for(self.deadline, footprint, name, hook, late)
    }

    /// The same, with a deadline of its own.
    pub(crate) fn run_for<R: Send + 'static>(
        &self,
        deadline: Duration,
        footprint: &Arc<Footprint>,
        name: &'static str,
        hook: impl FnOnce() -> R + Send + 'static,
        late: impl FnOnce(R) + Send + 'static,
    ) -> Result<R, NoResult> {
        self.wait_for(self.begin(footprint, name, hook, late)?, deadline, || false)
    }

    /// The same for what may take its time: the deadline begins anew as long as `moves` says so.
    pub(crate) fn run_while<R: Send + 'static>(
        &self,
        footprint: &Arc<Footprint>,
        name: &'static str,
        hook: impl FnOnce() -> R + Send + 'static,
        late: impl FnOnce(R) + Send + 'static,
        moves: impl FnMut() -> bool,
    ) -> Result<R, NoResult> {
        self.wait_for(self.begin(footprint, name, hook, late)?, self.deadline, moves)
    }

    fn wait_for<R>(
        &self,
        UnderWay { name, mut answer, worker }: UnderWay<R>,
        deadline: Duration,
        mut moves: impl FnMut() -> bool,
    ) -> Result<R, NoResult> {
        loop {
            match answer.wait_for(deadline) {
                Waited::Here(outcome) => {
                    *lock(&self.idle) = Some(worker);
                    return Ok(outcome);
                }
                Waited::Never => return Err(NoResult::Died { hook: name }),
                Waited::Late(again) if moves() => answer = again,
                Waited::Late(late) => {
                    // It may have come this very moment.
                    if let Some(outcome) = late.give_up() {
                        *lock(&self.idle) = Some(worker);
                        return Ok(outcome);
                    }
                    // Without a next job its thread ends when it returns.
                    let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
                    return Err(NoResult::Hung { hook: name, deadline_ms });
                }
            }
        }
    }

    /// How long a hook may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Begins a hook, and doesn't wait for it. If what is returned is dropped, nobody will.
    pub(crate) fn begin<R: Send + 'static>(
        &self,
        footprint: &Arc<Footprint>,
        name: &'static str,
        hook: impl FnOnce() -> R + Send + 'static,
        late: impl FnOnce(R) + Send + 'static,
    ) -> Result<UnderWay<R>, NoResult> {
        // So no version can take more than one thread for each of its hooks.
        if footprint.is_awaited_in(name) {
            return Err(NoResult::StillRuns { hook: name });
        }
        let (result, answer) = reply();
        let (held, run_on) = (footprint.clone(), footprint.clone());
        let ended_late = self.ended_late.clone();
        footprint.begin_start();
        let run = move || {
            let hold = owed::hold(held, Hold::Awaited(name));
            let outcome = call(&run_on, name, hook);
            // Whoever waits may take the version away as soon as they hear of it, and this thread is done with it then.
            let mut hold = Some(hold);
            if let Err(outcome) = result.send_after(outcome, || hold = None) {
                call(&run_on, name, || late(outcome));
                drop(hold);
                ended_late();
            }
        };
        let worker = self.give(Box::new(run)).map_err(|source| {
            footprint.not_started();
            NoResult::NoThread { hook: name, source }
        })?;
        Ok(UnderWay { name, answer, worker })
    }

    /// Looks how far a hook is that was begun: what has become of it, or itself again if it's still under way.
    pub(crate) fn look<R>(&self, under_way: UnderWay<R>) -> Result<Result<R, NoResult>, UnderWay<R>> {
        let UnderWay { name, answer, worker } = under_way;
        match answer.wait_for(Duration::ZERO) {
            Waited::Here(outcome) => {
                *lock(&self.idle) = Some(worker);
                Ok(Ok(outcome))
            }
            Waited::Never => Ok(Err(NoResult::Died { hook: name })),
            Waited::Late(answer) => Err(UnderWay { name, answer, worker }),
        }
    }

    /// Has the idle thread, if there is one, settle what it owes to versions that have retired.
    pub(crate) fn settle(&self) {
        let is_idle = lock(&self.idle).is_some();
        // Without a thread for it there is none that owes anything.
        if let Some(worker) = is_idle.then(|| self.give(Box::new(owed::settle_own))).and_then(Result::ok) {
            *lock(&self.idle) = Some(worker);
        }
    }

    /// Gives a job to the idle thread, or to a new one.
    fn give(&self, run: Box<dyn FnOnce() + Send>) -> io::Result<Worker> {
        let (next, following) = reply();
        let job = Job { run, next: following };
        let idle = lock(&self.idle).take();
        let thread = match idle {
            Some(Worker { next, thread }) => {
                next.send(job);
                thread
            }
            None => thread::Builder::new().name("liveswap-hook".into()).spawn(move || work(job))?,
        };
        Ok(Worker { next, thread })
    }
}

/// Whether the control thread may be waiting for this thread: a subscriber that waits for the control thread here would
/// wait for itself.
pub(crate) fn is_worker() -> bool {
    WORKS.get()
}

fn work(first: Job) {
    WORKS.set(true);
    let mut job = Some(first);
    while let Some(Job { run, next }) = job {
        run();
        job = next.wait();
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        if let Some(Worker { next, thread }) = lock(&self.idle).take() {
            drop(next);
            // It's idle, and ends at once.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::call::Bell;

    fn footprint() -> Arc<Footprint> {
        Footprint::new(usize::MAX / 2, Arc::new(Bell::new()))
    }

    #[test]
    fn hooks_take_turns_on_one_thread() {
        let (hooks, footprint) = (Hooks::new(Duration::from_secs(60), || {}), footprint());
        let mut threads =
            (0..3).map(|_| hooks.run(&footprint, "prepare", || thread::current().id(), drop).unwrap());
        let first = threads.next().unwrap();
        assert_ne!(first, thread::current().id());
        assert!(threads.all(|other| other == first));
        assert!(footprint.is_empty());
    }

    #[test]
    fn one_that_hangs_holds_its_version_until_it_returns_and_the_next_gets_another_thread() {
        let (footprint, (end, ended)) = (footprint(), mpsc::channel());
        let held = footprint.clone();
        let hooks = Hooks::new(Duration::from_millis(20), move || end.send(held.is_empty()).unwrap());
        let (release, released) = mpsc::channel::<()>();
        let (report, late) = mpsc::channel();
        let hook = move || released.recv().map_or(0, |()| 7);
        let failure = hooks.run(&footprint, "self_test", hook, move |late| report.send(late).unwrap());
        assert_eq!(failure.unwrap_err().code(), "hook-hung");
        let holders = footprint.holders();
        assert_eq!(holders.len(), 1);
        assert_eq!(
            (holders[0].thread.as_str(), holders[0].hold),
            ("liveswap-hook", Hold::Awaited("self_test"))
        );
        assert_eq!(hooks.run(&footprint, "prepare", || 8, drop).unwrap(), 8);
        release.send(()).unwrap();
        assert_eq!(late.recv().unwrap(), 7);
        assert!(ended.recv().unwrap(), "it holds the version no longer once that is told");
    }
}
