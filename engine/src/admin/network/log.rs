//! A log that strangers can't fill: a few lines at once, then one in a while, and how many were left out.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::pace::{Pace, Paces};
use crate::lock::lock;
use crate::tell::tell;

const LINES: Pace = Pace { burst: 20, step: Duration::from_secs(10) };

#[derive(Debug)]
pub(super) struct BoundedLog(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    paces: Paces<()>,
    left_out: u64,
}

impl Default for BoundedLog {
    fn default() -> Self {
        Self(Mutex::new(Lines { paces: Paces::new(LINES, 1), left_out: 0 }))
    }
}

impl BoundedLog {
    /// Has `event` say it, unless enough was said. It's given how many were left out before it.
    pub(super) fn say(&self, event: impl FnOnce(u64)) {
        if let Some(left_out) = self.turn(Instant::now()) {
            tell(|| event(left_out));
        }
    }

    fn turn(&self, now: Instant) -> Option<u64> {
        let mut lines = lock(&self.0);
        if lines.paces.take((), now).is_err() {
            lines.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let log = BoundedLog::default();
        let now = Instant::now();
        assert_eq!((0..1000).filter(|_| log.turn(now) == Some(0)).count(), LINES.burst as usize);
        assert_eq!(log.turn(now + LINES.step), Some(1000 - u64::from(LINES.burst)));
        assert_eq!(log.turn(now + LINES.step), None);
        assert_eq!(log.turn(now + LINES.step * 2), Some(1));
    }
}
