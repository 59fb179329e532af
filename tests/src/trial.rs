//! Hosts whose versions are on probation, and callers that keep account of every answer.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fixture_api::trial::Trial;
use liveswap::status::VerdictStatus;
use liveswap::{Builder, CallError, Module, Probation};

use crate::{Fixture, Host, comes_true};

/// How many call at once.
const CALLERS: usize = 3;

/// How long versions are on probation here, if a test doesn't say otherwise.
pub const WINDOW: Duration = Duration::from_secs(20);

/// What tests expect of versions: the default, in less time.
pub fn policy() -> Probation {
    Probation::default().window(WINDOW).health_every(Duration::from_millis(50))
}

/// Version 1001, which is as it should be.
pub fn good() -> PathBuf {
    Fixture::trial("1001").build()
}

/// Version 1002, with what is wrong with it.
pub fn bad(feature: &'static str) -> PathBuf {
    Fixture::trial("1002").feature(feature).build()
}

/// A host with that policy, and what else it is to have, that serves version 1001.
pub fn serving(policy: Probation, change: impl FnOnce(Builder, &Path) -> Builder) -> Host {
    let host = Host::of::<dyn Trial>(|builder, folder| change(builder.probation(policy), folder));
    host.push(good());
    host
}

/// The handle.
pub fn trial(host: &Host) -> Module<dyn Trial> {
    host.module()
}

/// The version that calls enter, by its own word.
#[track_caller]
pub fn version(host: &Host) -> String {
    trial(host).call(|trial| trial.version()).expect("there is an active version")
}

/// Waits until there is a verdict on version 1002.
#[track_caller]
pub fn verdict(host: &Host) -> VerdictStatus {
    let mut found = None;
    let is_there = || {
        found = host.status().last_verdict.filter(|verdict| verdict.version.to_string() == "1002");
        found.is_some()
    };
    assert!(comes_true(is_there), "there is no verdict: {:?}", host.status());
    found.expect("it was there")
}

/// What callers got.
#[derive(Debug, Default)]
pub struct Answers {
    /// Twice the number, or thrice.
    pub good: AtomicU64,
    /// The version's own errors.
    pub errors: AtomicU64,
    /// Its panics.
    pub panics: AtomicU64,
    /// Anything else, which is nothing that a caller should get.
    pub others: Mutex<Vec<String>>,
}

impl Answers {
    fn note(&self, number: u64, answer: Result<Result<u64, String>, CallError>) {
        let count = match answer {
            Ok(Ok(answer)) if answer == 2 * number || answer == 3 * number => &self.good,
            Ok(Err(error)) if error == "the third of five" => &self.errors,
            Err(CallError::Panicked { message, .. }) if message == "the seventh of twenty" => &self.panics,
            other => return self.others.lock().expect("nobody panics here").push(format!("{other:?}")),
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many calls there were, all of which were answered as they should.
    #[track_caller]
    pub fn all(&self) -> u64 {
        let others = self.others.lock().expect("nobody panics here");
        assert!(others.is_empty(), "{} of: {}", others.len(), others[0]);
        [&self.good, &self.errors, &self.panics].map(|count| count.load(Ordering::Relaxed)).iter().sum()
    }
}

/// Runs `work` while several threads call; what they got. Each call is answered, or this doesn't return.
pub fn under_load<R>(host: &Host, work: impl FnOnce() -> R) -> (R, Answers) {
    /// Also if the work failed.
    struct Stop<'flag>(&'flag AtomicBool);

    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let (stop, answers, numbers) = (AtomicBool::new(false), Answers::default(), AtomicU64::new(0));
    let result = thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                let trial = trial(host);
                while !stop.load(Ordering::Relaxed) {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    answers.note(number, trial.call(|trial| trial.work(number)));
                }
            });
        }
        let _stopping = Stop(&stop);
        work()
    });
    (result, answers)
}

/// Waits until the active version has had so many calls that its successor can be compared with it.
#[track_caller]
pub fn wait_until_usual(host: &Host, worked: u64) {
    let is_usual = || trial(host).call(|trial| trial.worked()).is_ok_and(|found| found >= worked);
    assert!(comes_true(is_usual), "nobody calls");
}

/// What a version does under load that is pushed: the verdict, how long that took, and what callers got meanwhile.
pub fn judge(host: &Host, candidate: &Path) -> (VerdictStatus, Duration, Answers) {
    let ((verdict, took), answers) = under_load(host, || {
        wait_until_usual(host, 300);
        host.push(candidate);
        let pushed = Instant::now();
        (verdict(host), pushed.elapsed())
    });
    (verdict, took, answers)
}
