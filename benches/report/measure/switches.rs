//! How callers get from one version to the next: what each sees of a publish, from outside.
//!
//! A caller notes when a call begins and when it has returned, and which version has answered. When it entered the
//! version lies between the two. So of a publish, each caller tells the last call that the old version has answered, and
//! the first of the new one. A caller that the kernel takes off its processor in the middle of a call tells nothing
//! precise about when it entered; such calls are told apart by how long they take.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::callers::{Ended, Setting};

/// A call that takes longer was interrupted.
const INTERRUPTED: Duration = Duration::from_micros(1);

/// What one caller has seen of a publish. Times are since the beginning of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// When the last call began that the old version has answered, and when that had returned.
    last_old: (Duration, Duration),
    /// When the first call began that the new one has answered.
    first_new: Duration,
    /// The same of the first one that wasn't interrupted.
    first_new_clear: Duration,
}

/// What all callers have seen of a publish.
#[derive(Clone, Debug)]
pub(crate) struct Publish(Vec<Seen>);

impl Publish {
    /// For how long both versions were entered: from when the new one was first entered, on any thread, to when the old
    /// one was last entered, on any thread. Not less than 0: mostly the new one comes after the old one.
    pub(crate) fn overlap(&self) -> Duration {
        self.last_old_begin().saturating_sub(self.least(|seen| seen.first_new_clear))
    }

    /// The same with interrupted calls, as if those had entered when they began.
    pub(crate) fn overlap_with_interrupted(&self) -> Duration {
        self.last_old_begin().saturating_sub(self.least(|seen| seen.first_new))
    }

    /// From the publish until nobody was inside the old version any more. At most: the publish can't have come before the
    /// last call began that the old version has answered, and is taken to have come then.
    pub(crate) fn grace(&self) -> Duration {
        let end = self.0.iter().map(|seen| seen.last_old.1).max().unwrap_or_default();
        end - self.last_old_begin()
    }

    fn last_old_begin(&self) -> Duration {
        self.0.iter().map(|seen| seen.last_old.0).max().unwrap_or_default()
    }

    fn least(&self, what: fn(&Seen) -> Duration) -> Duration {
        self.0.iter().map(what).min().unwrap_or_default()
    }
}

/// Publishes so often while the setting's callers call, and tells what they have seen. `call` gives the version that
/// answers; after each publish it must be another one.
pub(crate) fn watch(
    setting: &Setting,
    publishes: usize,
    call: impl Fn() -> u64 + Sync,
    mut publish: impl FnMut() + Send,
) -> Vec<Publish> {
    let begin = Instant::now();
    let counts: Vec<AtomicUsize> = setting.callers.iter().map(|_| AtomicUsize::new(0)).collect();
    // Each caller must have called before the first publish, and have seen each one before the next, or they would count
    // differently.
    let wait = |publishes| {
        while counts.iter().any(|count| count.load(Ordering::Relaxed) <= publishes) {
            thread::yield_now();
        }
    };
    let work = || {
        for published in 0..publishes {
            wait(published);
            publish();
        }
        wait(publishes);
    };
    let caller = |number: usize, ended: &Ended| look(begin, &call, &counts[number], ended);
    let ((), of_callers) = setting.during(caller, work);
    (0..publishes).map(|number| Publish(of_callers.iter().map(|seen| seen[number]).collect())).collect()
}

fn look(begin: Instant, call: impl Fn() -> u64, count: &AtomicUsize, ended: &Ended) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    let (mut version, mut last_old) = (call(), (Duration::ZERO, Duration::ZERO));
    // Relaxed: what was seen is handed over when the thread is joined.
    count.store(1, Ordering::Relaxed);
    let mut is_clear_awaited = false;
    while !ended.yet() || is_clear_awaited {
        let from = begin.elapsed();
        let answered = call();
        let to = begin.elapsed();
        if answered != version {
            version = answered;
            all.push(Seen { last_old, first_new: from, first_new_clear: from });
            is_clear_awaited = true;
        }
        last_old = (from, to);
        if is_clear_awaited && to - from < INTERRUPTED {
            all.last_mut().expect("it was just put in").first_new_clear = from;
            is_clear_awaited = false;
            count.store(1 + all.len(), Ordering::Relaxed);
        }
    }
    all
}
