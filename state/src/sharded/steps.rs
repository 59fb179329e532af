//! The steps of a collection: the migrations that its shards have still to go through.
//!
//! Each migration moves the collection's *epoch* by one; each shard knows at which epoch it is, and which steps lie
//! between the two. A new migration is a step at the end. Taking one back while shards are still on their way doesn't
//! add a step: the epoch returns, shards that have been through it go back, and those that haven't stay where they are.
//!
//! As long as a migration may still be [undone](Steps::undo), no shard follows it: the step is forgotten with it then.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::map::Map;
use crate::lock::lock;
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
    /// The fingerprints of the collection before and after.
    pub(super) from: Fingerprint,
    pub(super) to: Fingerprint,
    /// The way there; none if that was taken before, and forgotten since.
    pub(super) convert: Option<Convert>,
    /// The way back, if the step was taken back.
    pub(super) back: Option<Convert>,
    pub(super) discard_from: Discard,
    pub(super) discard_to: Discard,
}

impl Step {
    /// The same, as the way back of one that was taken before.
    fn reversed(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            convert: self.back,
            back: self.convert,
            discard_from: self.discard_to,
            discard_to: self.discard_from,
        }
    }
}

/// What a [`flip`](Steps::flip) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flipped {
    /// It added a step.
    Forward,
    /// It took the last one back.
    Back,
    /// It took back what was there before the first.
    Further,
}

/// What a shard has to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing: it's where it ought to be.
    Nothing,
    /// It is converted, and is at this epoch then.
    Convert(Convert, u32),
    /// It waits: the migration that it would follow may still be undone.
    Wait,
}

#[derive(Debug)]
pub(super) struct Steps {
    /// Where all shards ought to be. Changed only while no call can reach the collection, and under the lock.
    epoch: AtomicU32,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    /// The fingerprint of the collection, as it is at the epoch.
    current: Fingerprint,
    /// The epoch before the first of the steps.
    base: u32,
    steps: Vec<Step>,
    /// How many of the flips may still be undone.
    held: u32,
    /// How often the epoch was moved. It may be where it was before, with other steps.
    moves: u32,
}

impl Steps {
    /// The epoch of a new collection. It goes up and down from here.
    pub(super) const START: u32 = 1 << 31;

    /// Of a collection with this fingerprint.
    pub(super) const fn new(current: Fingerprint) -> Self {
        let under_way = UnderWay { current, base: Self::START, steps: Vec::new(), held: 0, moves: 0 };
        Self { epoch: AtomicU32::new(Self::START), under_way: Mutex::new(under_way) }
    }

    /// Acquire: pairs with the Release in `flip` and `undo`. (Calls are ordered after them anyway, by having been
    /// let in again. The sweeper isn't.)
    #[inline]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// How often the epoch was moved.
    pub(super) fn moves(&self) -> u32 {
        lock(&self.under_way).moves
    }

    /// Whether the collection is what this fingerprint says.
    pub(super) fn is_of(&self, fingerprint: Fingerprint) -> bool {
        lock(&self.under_way).current == fingerprint
    }

    /// Whether the collection is what this fingerprint says, and so a shard at `epoch`, too. It stays so as long as the
    /// shard is locked.
    pub(super) fn fits(&self, epoch: u32, fingerprint: Fingerprint) -> bool {
        let under_way = lock(&self.under_way);
        self.epoch() == epoch && under_way.current == fingerprint
    }

    /// What a shard at `epoch` has to do next.
    pub(super) fn next(&self, epoch: u32) -> Next {
        let under_way = lock(&self.under_way);
        let target = self.epoch();
        let place = epoch.wrapping_sub(under_way.base) as usize;
        if epoch == target {
            Next::Nothing
        } else if under_way.held > 0 {
            Next::Wait
        } else if epoch < target {
            let convert = under_way.steps[place].convert;
            Next::Convert(convert.expect("a step that leads forward has a way there"), epoch + 1)
        } else {
            let back = under_way.steps[place - 1].back;
            Next::Convert(back.expect("a step that was taken back has a way back"), epoch - 1)
        }
    }

    /// How to drop the map of a shard at `epoch`; `own` drops those of a collection with this fingerprint. None if
    /// nobody knows any more.
    pub(super) fn discard(&self, epoch: u32, fingerprint: Fingerprint, own: Discard) -> Option<Discard> {
        let under_way = lock(&self.under_way);
        if self.epoch() == epoch && under_way.current == fingerprint {
            return Some(own);
        }
        let place = epoch.wrapping_sub(under_way.base) as usize;
        match (under_way.steps.get(place), place.checked_sub(1)) {
            (Some(step), _) => Some(step.discard_from),
            (None, Some(before)) => under_way.steps.get(before).map(|step| step.discard_to),
            (None, None) => None,
        }
    }

    /// Moves the epoch along a step, or back if it's the last one's reverse. If it's `held`, it may be undone until it
    /// is [let go](Self::let_go).
    pub(super) fn flip(&self, step: Step, held: bool) -> Result<Flipped, MigrateError> {
        let mut under_way = lock(&self.under_way);
        if under_way.current != step.from {
            return Err("it was migrated already, by another who has it too".into());
        }
        let epoch = self.epoch();
        let place = epoch.wrapping_sub(under_way.base) as usize;
        if let Some(last) = place.checked_sub(1).and_then(|before| under_way.steps.get_mut(before))
            && (last.from, last.to) == (step.to, step.from)
        {
            last.back = step.convert;
            under_way.move_to(step.to, held);
            self.epoch.store(epoch - 1, Ordering::Release);
            return Ok(Flipped::Back);
        }
        // The migration that is being carried out has turned it back already, and goes further.
        if place == 0 && under_way.held > 0 && !under_way.steps.is_empty() {
            under_way.steps.insert(0, step.reversed());
            under_way.base -= 1;
            under_way.move_to(step.to, held);
            self.epoch.store(epoch - 1, Ordering::Release);
            return Ok(Flipped::Further);
        }
        if place < under_way.steps.len() {
            return Err("parts of it are still on their way back from another migration".into());
        }
        under_way.steps.push(step);
        under_way.move_to(step.to, held);
        self.epoch.store(epoch + 1, Ordering::Release);
        Ok(Flipped::Forward)
    }

    /// A flip that was held won't be undone any more.
    pub(super) fn let_go(&self) {
        lock(&self.under_way).held -= 1;
    }

    /// Takes the last flip back, which is held.
    pub(super) fn undo(&self, flipped: Flipped) {
        let mut under_way = lock(&self.under_way);
        let epoch = self.epoch();
        match flipped {
            Flipped::Forward => {
                let step = under_way.steps.pop().expect("a flip forward has added a step");
                under_way.move_to(step.from, false);
                self.epoch.store(epoch - 1, Ordering::Release);
            }
            Flipped::Back => {
                let place = epoch.wrapping_sub(under_way.base) as usize;
                let step = under_way.steps[place];
                under_way.move_to(step.to, false);
                self.epoch.store(epoch + 1, Ordering::Release);
            }
            Flipped::Further => {
                let step = under_way.steps.remove(0);
                under_way.base += 1;
                under_way.move_to(step.to, false);
                self.epoch.store(epoch + 1, Ordering::Release);
            }
        }
        under_way.held -= 1;
    }

    /// All shards were seen where they ought to be: forgets the steps, if the epoch wasn't moved since.
    pub(super) fn finish(&self, moves: u32) -> bool {
        let mut under_way = lock(&self.under_way);
        let is_done = under_way.moves == moves && under_way.held == 0;
        if is_done {
            (under_way.base, under_way.steps) = (self.epoch(), Vec::new());
        }
        is_done
    }

    /// The steps that lead forward, for a trial.
    pub(super) fn forward(&self) -> Vec<Step> {
        lock(&self.under_way).steps.clone()
    }
}

impl UnderWay {
    fn move_to(&mut self, current: Fingerprint, held: bool) {
        self.current = current;
        self.held += u32::from(held);
        self.moves = self.moves.wrapping_add(1);
    }
}
