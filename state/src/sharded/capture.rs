//! Captures: what a collection was at one moment, while calls go on changing it.
//!
//! A snapshot begins at a moment when no call is inside, and numbers it. From then on, a shard that is about to be
//! changed, and that this snapshot hasn't seen yet, is written down first. All other shards the snapshot writes down by
//! itself, one after the other. So what it has in the end is the collection as it was at that moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::map::Map;
use crate::lock::{lock, read, write};
use crate::{Encoder, Fenced, Fingerprint};

/// What is written down of a snapshot and not in its file yet.
#[derive(Debug, Default)]
pub struct Blocks {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    blocks: Vec<(u32, Vec<u8>)>,
    failed: Option<String>,
}

impl Blocks {
    /// Takes all blocks that are there: each with the number of its collection.
    ///
    /// # Errors
    ///
    /// If a shard couldn't be written down: why.
    pub fn take(&self) -> Result<Vec<(u32, Vec<u8>)>, String> {
        let mut waiting = lock(&self.waiting);
        match &waiting.failed {
            Some(why) => Err(why.clone()),
            None => Ok(std::mem::take(&mut waiting.blocks)),
        }
    }

    fn fail(&self, why: &str) {
        lock(&self.waiting).failed.get_or_insert_with(|| why.to_owned());
    }
}

/// A snapshot under way, as a collection sees it.
#[derive(Debug)]
struct Capture {
    /// Of the collection that `encode` fits.
    fingerprint: Fingerprint,
    encode: unsafe fn(Map, &mut Encoder) -> Fenced<()>,
    ordinal: u32,
    blocks: Arc<Blocks>,
}

#[derive(Debug)]
pub(super) struct Captures {
    /// The number of the latest snapshot. Relaxed: it changes only while no call is inside.
    latest: AtomicU32,
    /// Held, shared, while a shard is written down, so that the code for it stays.
    under_way: RwLock<Option<Capture>>,
}

impl Captures {
    pub(super) const fn new() -> Self {
        Self { latest: AtomicU32::new(0), under_way: RwLock::new(None) }
    }

    #[inline]
    pub(super) fn latest(&self) -> u32 {
        self.latest.load(Ordering::Relaxed)
    }

    /// Begins a snapshot. No call may be inside.
    ///
    /// # Safety
    ///
    /// `encode` fits the maps of a collection with this fingerprint, and its code stays until the [end](Self::end).
    pub(super) unsafe fn begin(
        &self,
        fingerprint: Fingerprint,
        encode: unsafe fn(Map, &mut Encoder) -> Fenced<()>,
        ordinal: u32,
        blocks: Arc<Blocks>,
    ) {
        self.set(Some(Capture { fingerprint, encode, ordinal, blocks }));
        self.latest.store(self.latest().wrapping_add(1), Ordering::Relaxed);
    }

    /// Ends it, finished or not.
    pub(super) fn end(&self) {
        self.set(None);
    }

    fn set(&self, capture: Option<Capture>) {
        *write(&self.under_way) = capture;
    }

    /// Writes a map down for the snapshot that is under way, if it's still one of the collection as it was then. The
    /// shard that it's in is locked.
    #[cold]
    pub(super) fn take(&self, map: Option<Map>, fits: impl FnOnce(Fingerprint) -> bool) {
        let under_way = read(&self.under_way);
        let (Some(capture), Some(map)) = (&*under_way, map) else { return };
        if !fits(capture.fingerprint) {
            return capture.blocks.fail("a collection of the state is being migrated");
        }
        let mut encoder = Encoder::new();
        // SAFETY: as `begin` demands; the shard is locked, and so the map stays of the types that it has been found to
        // be of.
        let encoded = unsafe { (capture.encode)(map, &mut encoder) };
        let bytes = match encoded {
            Ok(()) => encoder.finish().map_err(|error| error.to_string()),
            Err(panic) => Err(format!("encoding panicked at {}: {}", panic.location, panic.message)),
        };
        match bytes {
            Ok(bytes) => lock(&capture.blocks.waiting).blocks.push((capture.ordinal, bytes)),
            Err(why) => capture.blocks.fail(&why),
        }
    }
}
