//! How often something may happen: some times at once, and from then on in even steps.
//!
//! Of each one who is limited only one moment is kept: when all that was counted so far is forgiven. Whoever is ahead
//! of now by more than what is allowed at once waits. (Networks know this as the generic cell rate algorithm.) A
//! library would count whoever it's asked about; here it must be known whether an address is shut out before anything
//! is counted, and the memory for addresses is bounded.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How often at once.
    pub(super) burst: u32,
    /// And then once in so long.
    pub(super) step: Duration,
}

impl Pace {
    /// How long whoever has been forgiven at `forgiven` must wait; none if it needn't.
    fn wait(self, forgiven: Option<Instant>, now: Instant) -> Option<Duration> {
        let ahead = forgiven?.saturating_duration_since(now);
        let wait = (ahead + self.step).saturating_sub(self.step * self.burst);
        (!wait.is_zero()).then_some(wait)
    }

    fn count(self, forgiven: Option<Instant>, now: Instant) -> Instant {
        forgiven.map_or(now, |forgiven| forgiven.max(now)) + self.step
    }
}

/// One pace for each of many. Of how many is bounded: there is always room for one more, because whoever would be
/// forgiven soonest is then forgiven at once.
#[derive(Debug)]
pub(super) struct Paces<K> {
    pace: Pace,
    keys_max: usize,
    forgiven: HashMap<K, Instant>,
}

impl<K: Copy + Eq + Hash> Paces<K> {
    pub(super) fn new(pace: Pace, keys_max: usize) -> Self {
        Self { pace, keys_max, forgiven: HashMap::new() }
    }

    /// How long it must wait; none if it needn't. Counts nothing.
    pub(super) fn wait(&self, key: K, now: Instant) -> Option<Duration> {
        self.pace.wait(self.forgiven.get(&key).copied(), now)
    }

    /// Counts once more.
    pub(super) fn count(&mut self, key: K, now: Instant) {
        if !self.forgiven.contains_key(&key) && self.forgiven.len() >= self.keys_max {
            self.forgiven.retain(|_, forgiven| *forgiven > now);
            while self.forgiven.len() >= self.keys_max {
                let soonest = self.forgiven.iter().min_by_key(|(_, forgiven)| **forgiven);
                let soonest = soonest.map(|(key, _)| *key).expect("there is room for one at least");
                self.forgiven.remove(&soonest);
            }
        }
        let forgiven = self.forgiven.get(&key).copied();
        self.forgiven.insert(key, self.pace.count(forgiven, now));
    }

    /// Counts once more, unless it must wait: then it says for how long.
    pub(super) fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        match self.wait(key, now) {
            Some(wait) => Err(wait),
            None => {
                self.count(key, now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { burst: 3, step: Duration::from_secs(10) };

    #[test]
    fn some_at_once_and_then_one_a_step() {
        let mut paces = Paces::new(PACE, 8);
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert_eq!(paces.take('a', at(0)), Ok(()));
        }
        assert_eq!(paces.take('a', at(0)), Err(Duration::from_secs(10)));
        assert_eq!(paces.take('a', at(4)), Err(Duration::from_secs(6)));
        assert_eq!(paces.take('b', at(4)), Ok(()), "each has its own");
        assert_eq!(paces.take('a', at(10)), Ok(()));
        assert!(paces.take('a', at(10)).is_err());
        // Long afterwards there's no more at once than at first.
        assert_eq!((0..9).filter(|_| paces.take('a', at(1000)).is_ok()).count(), 3);
    }

    #[test]
    fn looking_counts_nothing() {
        let mut paces = Paces::new(PACE, 8);
        let now = Instant::now();
        for _ in 0..9 {
            assert_eq!(paces.wait('a', now), None);
        }
        (0..3).for_each(|_| paces.count('a', now));
        assert!(paces.wait('a', now).is_some());
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let mut paces = Paces::new(PACE, 4);
        let now = Instant::now();
        (0..3).for_each(|_| paces.count(0, now));
        for key in 1..1000 {
            paces.count(key, now);
            assert!(paces.forgiven.len() <= 4);
        }
        assert!(paces.wait(0, now).is_some(), "who has done the most is kept the longest");
        let later = now + Duration::from_secs(3600);
        // One that isn't there already: which of the others are, is left to chance.
        paces.count(1000, later);
        assert_eq!(paces.forgiven.len(), 1, "who is forgiven is forgotten");
    }
}
