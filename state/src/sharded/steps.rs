//! The steps of a collection: the migrations that its shards have still to go through.
//!
//! Each migration moves the collection's *epoch* by one; each shard knows at which epoch it is, and which steps lie
//! between the two. A new migration is a step at the end. Taking one back while shards are still on their way doesn't
//! add a step: the epoch returns, shards that have been through it go back, and those that haven't stay where they are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lock;
use super::map::Map;
use crate::{Fingerprint, MigrateError};

/// Takes a shard's map and gives the next one; on a failure, the same as before.
///
/// # Safety
///
/// The map is of the types that the function was made for.
pub(super) type Convert = unsafe fn(Map) -> Result<Map, (Map, MigrateError)>;

/// Drops a shard's map.
///
/// # Safety
///
/// As [`Convert`].
pub(super) type Discard = unsafe fn(Map);

/// A migration, as a collection sees it: functions of the version that brought it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The fingerprints of the values before and after.
    pub(super) from: Fingerprint,
    pub(super) to: Fingerprint,
    pub(super) convert: Convert,
    /// The way back, if the step was taken back.
    pub(super) back: Option<Convert>,
    pub(super) discard_from: Discard,
    pub(super) discard_to: Discard,
}

/// What a [`flip`](Steps::flip) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flipped {
    /// It added a step.
    Forward,
    /// It took the last one back.
    Back,
}

#[derive(Debug)]
pub(super) struct Steps {
    /// Where all shards ought to be. Changed only while no call can reach the collection, and under the lock.
    epoch: AtomicU32,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    /// The epoch before the first of the steps.
    base: u32,
    steps: Vec<Step>,
}

impl Steps {
    pub(super) const fn new() -> Self {
        Self { epoch: AtomicU32::new(0), under_way: Mutex::new(UnderWay { base: 0, steps: Vec::new() }) }
    }

    /// Acquire: pairs with the Release in `flip` and `undo`. (Calls are ordered after them anyway, by having been
    /// let in again. The sweeper isn't.)
    #[inline]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The next conversion of a shard at `epoch`, and the epoch that it leads to; none if it's where it ought to be.
    pub(super) fn next(&self, epoch: u32) -> Option<(Convert, u32)> {
        let under_way = lock(&self.under_way);
        let target = self.epoch();
        let place = (epoch - under_way.base) as usize;
        if epoch < target {
            Some((under_way.steps[place].convert, epoch + 1))
        } else if epoch > target {
            let back = under_way.steps[place - 1].back;
            Some((back.expect("a step that was taken back has a way back"), epoch - 1))
        } else {
            None
        }
    }

    /// How to drop the map of a shard at `epoch`; none if it isn't on its way, and so of the collection's own types.
    pub(super) fn discard(&self, epoch: u32) -> Option<Discard> {
        let under_way = lock(&self.under_way);
        let place = (epoch - under_way.base) as usize;
        match (under_way.steps.get(place), place.checked_sub(1)) {
            (Some(step), _) => Some(step.discard_from),
            (None, Some(before)) => under_way.steps.get(before).map(|step| step.discard_to),
            (None, None) => None,
        }
    }

    /// Moves the epoch along a step, or back if it's the last one's reverse.
    pub(super) fn flip(&self, step: Step) -> Result<Flipped, MigrateError> {
        let mut under_way = lock(&self.under_way);
        let epoch = self.epoch();
        let place = (epoch - under_way.base) as usize;
        if let Some(last) = place.checked_sub(1).and_then(|before| under_way.steps.get_mut(before))
            && (last.from, last.to) == (step.to, step.from)
        {
            last.back = Some(step.convert);
            self.epoch.store(epoch - 1, Ordering::Release);
            return Ok(Flipped::Back);
        }
        if place < under_way.steps.len() {
            return Err("parts of it are still on their way back from another migration".into());
        }
        under_way.steps.push(step);
        self.epoch.store(epoch + 1, Ordering::Release);
        Ok(Flipped::Forward)
    }

    /// Takes a flip back that no shard has followed.
    pub(super) fn undo(&self, flipped: Flipped) {
        let mut under_way = lock(&self.under_way);
        let epoch = self.epoch();
        match flipped {
            Flipped::Forward => {
                under_way.steps.pop();
                self.epoch.store(epoch - 1, Ordering::Release);
            }
            // A shard may have followed that one; it has the step before it again.
            Flipped::Back => self.epoch.store(epoch + 1, Ordering::Release),
        }
    }

    /// All shards were seen at `epoch`: forgets the steps, unless the epoch has moved since.
    pub(super) fn finish(&self, epoch: u32) -> bool {
        let mut under_way = lock(&self.under_way);
        let is_done = self.epoch() == epoch;
        if is_done {
            *under_way = UnderWay { base: epoch, steps: Vec::new() };
        }
        is_done
    }

    /// The steps that lead forward, for a trial.
    pub(super) fn forward(&self) -> Vec<Step> {
        lock(&self.under_way).steps.clone()
    }
}
