//! The pace of work in the background, beside calls that have the processors to themselves otherwise.
//!
//! Where callers keep all processors busy, the kernel lets a thread that works on and on have one for milliseconds at
//! a time, and the caller that was on it waits. So whatever goes through all of a state gives its processor back after a
//! fraction of that, if anybody wants it.

use std::thread;
use std::time::{Duration, Instant};

/// How long it works at a stretch. A shard takes about as long.
const STRETCH: Duration = Duration::from_micros(200);

pub(super) struct Pace {
    since: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// A part of the work is done.
    pub(super) fn step(&mut self) {
        if self.since.elapsed() >= STRETCH {
            thread::yield_now();
            self.since = Instant::now();
        }
    }
}
