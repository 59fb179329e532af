//! The policy: what a host expects of a version on probation.

use std::time::Duration;

use thiserror::Error;

/// The longest time that is counted with: clocks can't tell moments that are any time away. It's as good as never.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a version on probation must live up to, and for how long. If it doesn't, its predecessor takes over again; if it
/// does until the window has passed, it is committed.
///
/// ```no_run
/// # #[liveswap_state::interface]
/// # pub trait Game { fn hello(&self, who: &str) -> String; }
/// # fn main() -> Result<(), liveswap::BuildError> {
/// use std::time::Duration;
/// use liveswap::Probation;
///
/// let engine = liveswap::Engine::builder()
///     .module::<dyn Game>("logic")
///     .probation(Probation::default().window(Duration::from_secs(300)).slower_max(1.5))
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// A call's time is that of the method's own code: what it has waited for at the gate doesn't count.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a policy is for `Builder::probation`"]
pub struct Probation {
    pub(crate) window: Duration,
    pub(crate) panics_max: u32,
    pub(crate) errors_max: u32,
    pub(crate) slower_max: Option<f64>,
    pub(crate) slower_by: Duration,
    pub(crate) stuck_after: Option<Duration>,
    pub(crate) health_every: Duration,
    pub(crate) calls_min: u32,
}

/// A policy that can't be meant.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("found `{what}` of {found}, expected {expected}")]
pub struct BadProbation {
    /// What was set.
    pub what: &'static str,
    /// To what.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

impl Default for Probation {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            panics_max: 10,
            errors_max: 50,
            slower_max: Some(2.0),
            slower_by: Duration::from_micros(10),
            stuck_after: Some(Duration::from_secs(30)),
            health_every: Duration::from_secs(1),
            calls_min: 100,
        }
    }
}

impl Probation {
    /// How long a version is on probation. 60 seconds, unless set; at least 10 milliseconds. More than a hundred years
    /// count as that.
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.min(LONGEST);
        self
    }

    /// How many of 1,000 calls may panic. 10, unless set; 1,000 for any number.
    pub fn panics_max(mut self, of_a_thousand: u32) -> Self {
        self.panics_max = of_a_thousand;
        self
    }

    /// How many more of 1,000 results may be errors (a [`Result`] that is `Err`) than the predecessor's own. 50, unless
    /// set; 1,000 for any number. It isn't judged if the predecessor has had too few calls to say what is usual.
    pub fn errors_max(mut self, of_a_thousand: u32) -> Self {
        self.errors_max = of_a_thousand;
        self
    }

    /// How many times as long as with the predecessor a call may take: the median, method by method. 2, unless set; at
    /// least 1; `None` for any time. It's judged once a tenth of the window has passed, for methods that both versions
    /// have had [enough](Self::calls_min) calls of.
    pub fn slower_max(mut self, times: impl Into<Option<f64>>) -> Self {
        self.slower_max = times.into();
        self
    }

    /// By how much the medians must differ at least to count as different. 10 microseconds, unless set.
    pub fn slower_by(mut self, time: Duration) -> Self {
        self.slower_by = time;
        self
    }

    /// After which time a call that doesn't return counts as stuck. 30 seconds, unless set; `None` if calls may take any
    /// time, as those do that wait for something.
    pub fn stuck_after(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.stuck_after = time.into();
        self
    }

    /// How often the logic's own [`health`](liveswap_state::Logic::health) hook is asked. Each second, unless set; at
    /// least 10 milliseconds. More than a hundred years count as that.
    pub fn health_every(mut self, time: Duration) -> Self {
        self.health_every = time.min(LONGEST);
        self
    }

    /// How many calls it takes to say what is usual. 100, unless set; at least 1. Fewer calls are allowed as many panics
    /// and errors as this many.
    pub fn calls_min(mut self, calls: u32) -> Self {
        self.calls_min = calls;
        self
    }

    /// Refuses what can't be meant.
    pub(crate) fn check(&self) -> Result<(), BadProbation> {
        const SHORTEST: Duration = Duration::from_millis(10);
        let refuse = |what, found: String, expected| Err(BadProbation { what, found, expected });
        for (what, time) in [("window", self.window), ("health_every", self.health_every)] {
            if time < SHORTEST {
                return refuse(what, format!("{time:?}"), "10 milliseconds at least");
            }
        }
        for (what, share) in [("panics_max", self.panics_max), ("errors_max", self.errors_max)] {
            if share > 1000 {
                return refuse(what, share.to_string(), "1,000 at most");
            }
        }
        match self.slower_max {
            Some(times) if !(times >= 1.0 && times.is_finite()) => {
                return refuse("slower_max", times.to_string(), "1 at least, or none");
            }
            _ => {}
        }
        if self.calls_min == 0 {
            return refuse("calls_min", self.calls_min.to_string(), "1 at least");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_to_last_for_ever_has_an_end_that_clocks_can_tell() {
        let policy = Probation::default().window(Duration::MAX).health_every(Duration::MAX);
        assert_eq!(policy.check(), Ok(()));
        for time in [policy.window, policy.health_every] {
            assert!(Instant::now().checked_add(time).is_some(), "{time:?}");
        }
    }

    #[test]
    fn what_cant_be_meant_is_refused_by_name() {
        assert_eq!(Probation::default().check(), Ok(()));
        assert_eq!(Probation::default().slower_max(None).stuck_after(None).check(), Ok(()));
        for (policy, what) in [
            (Probation::default().window(Duration::ZERO), "window"),
            (Probation::default().health_every(Duration::from_millis(9)), "health_every"),
            (Probation::default().panics_max(1001), "panics_max"),
            (Probation::default().errors_max(1001), "errors_max"),
            (Probation::default().slower_max(0.9), "slower_max"),
            (Probation::default().slower_max(f64::NAN), "slower_max"),
            (Probation::default().slower_max(f64::INFINITY), "slower_max"),
            (Probation::default().calls_min(0), "calls_min"),
        ] {
            assert_eq!(policy.check().map_err(|error| error.what), Err(what));
        }
    }
}
