//! Callers: pinned threads that call all the time while something else is done.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::pinned::{allowed, stay_on};

/// Who calls, and where the work is done meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// The processor of each caller.
    pub(crate) callers: Vec<usize>,
    /// The processor that the work and the engine's threads keep to; none for any.
    pub(crate) work: Option<usize>,
}

pub(crate) const NOBODY: &str = "without callers";
pub(crate) const TWO: &str = "two callers";
pub(crate) const ONE: &str = "one caller, engine apart";

impl Setting {
    pub(crate) fn without_callers() -> Self {
        Self { name: NOBODY, callers: Vec::new(), work: None }
    }

    /// With two processors, whoever swaps takes turns with the callers on them.
    pub(crate) fn two_callers() -> Self {
        let allowed = allowed();
        Self { name: TWO, callers: vec![allowed[0], allowed[1 % allowed.len()]], work: None }
    }

    /// Nobody is in the caller's way. None where there is one processor only.
    pub(crate) fn one_caller_apart() -> Option<Self> {
        let allowed = allowed();
        let (caller, work) = (allowed[0], allowed[allowed.len() - 1]);
        (caller != work).then(|| Self { name: ONE, callers: vec![caller], work: Some(work) })
    }

    /// Those with callers.
    pub(crate) fn with_callers() -> Vec<Self> {
        [Some(Self::two_callers()), Self::one_caller_apart()].into_iter().flatten().collect()
    }

    /// Runs `work` while each caller is in `call`, which returns soon after it finds that the work has ended.
    pub(crate) fn during<C: Send, R: Send>(
        &self,
        call: impl Fn(usize, &Ended) -> C + Sync,
        work: impl FnOnce() -> R + Send,
    ) -> (R, Vec<C>) {
        let (ended, begin) = (Ended(AtomicBool::new(false)), Barrier::new(self.callers.len() + 1));
        thread::scope(|scope| {
            let (call, ended, begin) = (&call, &ended, &begin);
            let callers: Vec<_> = self
                .callers
                .iter()
                .enumerate()
                .map(|(number, &processor)| {
                    scope.spawn(move || {
                        stay_on(processor);
                        begin.wait();
                        call(number, ended)
                    })
                })
                .collect();
            let worker = scope.spawn(move || {
                // Whatever becomes of the work, the callers must hear of its end.
                let _end = End(ended);
                if let Some(processor) = self.work {
                    stay_on(processor);
                }
                begin.wait();
                work()
            });
            let result = worker.join().expect("the work doesn't panic");
            (result, callers.into_iter().map(|caller| caller.join().expect("no call panics")).collect())
        })
    }
}

/// Whether the work has ended.
pub(crate) struct Ended(AtomicBool);

impl Ended {
    /// Relaxed: nothing else is read because of it.
    #[inline]
    pub(crate) fn yet(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct End<'run>(&'run Ended);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
