//! Capturing: writes the state down as it is at one moment, while calls go on.
//!
//! 1. The moment: nobody is in the state. Its own bytes are taken, and its large collections are told that a snapshot
//!    begins ([`liveswap_state::sharded`]). It's tried again and again, as a hand-over is, so that no call waits longer
//!    than `pause_max`.
//! 2. Calls go on. Each shard is written down by whoever comes to it first: this thread, one after the other, or a call
//!    that is about to change it.
//! 3. All of it goes into a draft, which becomes a snapshot once it's on the disk.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use liveswap_state::sharded::{Blocks, Handle};
use liveswap_state::table::{Captured, StateTable};

use super::migration::{MigrationError, capture};
use super::module::micros;
use super::pace::Pace;
use crate::call::{CallPath, Footprint, StatePointer};
use crate::error::TakeError;
use crate::host::hook;
use crate::snapshot::disk::RealDisk;
use crate::snapshot::folder::SnapshotFolder;
use crate::snapshot::format::{Label, ROOT, Writer};
use crate::status::SnapshotTaken;
use crate::tell::tell;

/// What a snapshot is of, and how long it may hold calls up.
pub(super) struct Moment {
    pub(super) path: Arc<CallPath>,
    /// Of the version whose functions are called.
    pub(super) footprint: Arc<Footprint>,
    pub(super) table: StateTable,
    pub(super) state: StatePointer,
    pub(super) pause_max: Duration,
    /// For how long the moment is waited for.
    pub(super) patience: Duration,
}

/// One snapshot.
pub(super) struct Capturing<'control> {
    pub(super) moment: Moment,
    pub(super) is_cancelled: &'control AtomicBool,
}

/// How much of the state was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    Whole,
    /// Its large collections aren't all there.
    Part,
    /// Nothing: without its large collections it has so many bytes already.
    TooLarge {
        bytes: u64,
    },
}

/// The state as it was at the moment, as far as it isn't written down yet.
struct Begun {
    captured: Captured,
    blocks: Arc<Blocks>,
    taken_at_ms: u64,
    pause: Duration,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.captured.collections.iter().for_each(Handle::end_capture);
    }
}

impl Capturing<'_> {
    /// Takes it, on this thread, which holds the version.
    pub(super) fn take(self, folder: &mut SnapshotFolder) -> Result<SnapshotTaken, TakeError> {
        let footprint = self.moment.footprint.clone();
        hook::call(&footprint, "snapshot", || {
            let started = Instant::now();
            let begun = self.begin()?;
            let mut draft = folder.begin().map_err(|error| TakeError::unwritable(&error))?;
            self.write(&begun, draft.writer(), u64::MAX)?;
            let taken = draft.finish(self.label(&begun)).map_err(|error| TakeError::unwritable(&error))?;
            self.look_after(folder, taken.not_removed.iter().map(ToString::to_string));
            Ok(SnapshotTaken {
                path: taken.path,
                bytes: taken.length,
                taken_at_ms: begun.taken_at_ms,
                took_us: micros(started.elapsed()),
                pause_us: micros(begun.pause),
            })
        })
    }

    /// Writes a copy of the state that isn't kept, on this thread, which holds the version. Of the large collections
    /// only as much as goes into so many bytes, about the same of each.
    pub(super) fn copy(self, path: PathBuf, file: File, bytes_max: u64) -> Result<Copied, TakeError> {
        let footprint = self.moment.footprint.clone();
        hook::call(&footprint, "snapshot", || {
            let begun = self.begin()?;
            let bytes = begun.captured.bytes.len() as u64;
            if bytes > bytes_max {
                return Ok(Copied::TooLarge { bytes });
            }
            let mut writer = Writer::new(Arc::new(RealDisk), file, path);
            let is_whole = self.write(&begun, &mut writer, bytes_max)?;
            writer.finish(self.label(&begun)).map_err(|error| TakeError::unwritable(&error))?;
            Ok(if is_whole { Copied::Whole } else { Copied::Part })
        })
    }

    fn label(&self, begun: &Begun) -> Label {
        Label {
            schema: self.moment.table.schema,
            fingerprint: self.moment.table.fingerprint.to_bytes(),
            taken_at: begun.taken_at_ms,
        }
    }

    /// Finds out about older snapshots that no one has looked at yet, so that they may go when their time comes.
    fn look_after(&self, folder: &mut SnapshotFolder, not_removed: impl Iterator<Item = String>) {
        let module = &self.moment.path.module;
        for error in not_removed {
            tell(|| tracing::warn!(module, error, "can't remove an old snapshot"));
        }
        let errors = folder.verify_older().unwrap_or_else(|error| vec![error]);
        for error in errors {
            tell(|| tracing::warn!(module, code = error.code(), "an old snapshot stays: {error}"));
        }
    }

    fn begin(&self) -> Result<Begun, TakeError> {
        let Moment { path, footprint, table, state, pause_max, patience } = &self.moment;
        const BETWEEN: u32 = 10;
        let (started, mut attempts) = (Instant::now(), 0_u32);
        loop {
            attempts += 1;
            let closed_at = Instant::now();
            let begun = path.alone_by(closed_at + *pause_max, || {
                // Whoever has given it up may have changed the state for another one since.
                if self.is_cancelled.load(Ordering::Relaxed) {
                    return Err(TakeError::Cancelled { module: path.module.clone() });
                }
                // One that has come up while this has waited, too.
                if let Some(suspicion) = path.suspicions.keeps_out() {
                    return Err(TakeError::Suspect { module: path.module.clone(), by: suspicion.method });
                }
                // SAFETY: the state is of this type, and nobody is in it.
                let captured = unsafe { capture(footprint, table, state.0) };
                let captured = captured
                    .map_err(|error: MigrationError| TakeError::Unencodable { reason: error.to_string() })?;
                let blocks = Arc::new(Blocks::default());
                for (ordinal, collection) in (1..).zip(&captured.collections) {
                    // SAFETY: the code stays: this thread holds the version until `Begun` is dropped.
                    unsafe { collection.begin_capture(ordinal, blocks.clone()) };
                }
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let taken_at_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                Ok(Begun { captured, blocks, taken_at_ms, pause: Duration::ZERO })
            });
            match begun {
                Some(Ok(mut begun)) => {
                    begun.pause = closed_at.elapsed();
                    return Ok(begun);
                }
                Some(Err(error)) => return Err(error),
                None => {}
            }
            let between = *pause_max * BETWEEN;
            if self.is_cancelled.load(Ordering::Relaxed) {
                return Err(TakeError::Cancelled { module: path.module.clone() });
            }
            if started.elapsed() + between > *patience {
                return Err(TakeError::PauseMissed { module: path.module.clone(), attempts });
            }
            thread::sleep(between);
        }
    }

    /// Leaves out what is beyond so many bytes. True if that is nothing.
    fn write(&self, begun: &Begun, writer: &mut Writer, bytes_max: u64) -> Result<bool, TakeError> {
        let mut block = |ordinal, bytes: &[u8]| -> Result<u64, TakeError> {
            writer.block(ordinal, bytes).map_err(|error| TakeError::unwritable(&error))?;
            Ok(writer.file_length())
        };
        let mut written = block(ROOT, &begun.captured.bytes)?;
        let (mut index, mut pace, mut is_whole) = (0, Pace::new(), true);
        let mut left = begun.captured.collections.len() as u64;
        for collection in &begun.captured.collections {
            let share = bytes_max.saturating_sub(written) / left;
            let until = written + share;
            left -= 1;
            // It may grow meanwhile; what a shard is divided into was written down before.
            while index < collection.count() {
                if written > until {
                    is_whole = false;
                    break;
                }
                // Relaxed: see `cancel_snapshot`.
                if self.is_cancelled.load(Ordering::Relaxed) {
                    return Err(TakeError::Cancelled { module: self.moment.path.module.clone() });
                }
                collection.capture(index);
                pace.step();
                index += 1;
                let blocks = begun.blocks.take().map_err(|reason| TakeError::Unencodable { reason })?;
                for (ordinal, bytes) in &blocks {
                    written = block(*ordinal, bytes)?;
                }
            }
            index = 0;
        }
        let blocks = begun.blocks.take().map_err(|reason| TakeError::Unencodable { reason })?;
        for (ordinal, bytes) in &blocks {
            block(*ordinal, bytes)?;
        }
        Ok(is_whole)
    }
}
