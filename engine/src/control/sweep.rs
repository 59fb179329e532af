//! The sweep: migrates what a flip has left to be migrated, on a thread of its own, while calls go on.
//!
//! A call migrates the shards that it uses. The sweeper goes through all others, one after the other, so that there is
//! an end to it: only then can the library that knows how be unmapped. The thread holds that library, as a hook, and
//! is named for it.
//!
//! A shard that can't be migrated stops the sweep: the engine is told, and has the state migrated back, if there is a
//! way. The collections then come here once more, with the shards that have been migrated already on their way back.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use liveswap_state::MigrateError;
use liveswap_state::sharded::Handle;

use super::pace::Pace;
use super::progress::Progress;
use super::reaper::deadline_in;
use crate::call::{Bell, Footprint, Hold, owed};
use crate::host::hook;
use crate::lock::lock;
use crate::status::MigrationStage;
use crate::tell::tell;

/// A sweeper. It ends by itself once it has nothing left to do, or when it's dropped.
pub(super) struct Sweep {
    shared: Arc<Shared>,
    /// The library whose functions it calls.
    pub(super) converter: Arc<Footprint>,
}

struct Shared {
    module: String,
    work: Mutex<Work>,
    /// Rung at each change of the work.
    bell: Bell,
}

struct Work {
    stage: Stage,
    collections: Vec<Handle>,
    /// To be dropped before anything is forgotten about the collections.
    leftovers: Vec<Handle>,
    progress: Arc<Progress>,
    /// When to say that it takes long; none once that is said.
    deadline: Option<Instant>,
    /// Counted up with each migration that comes in.
    number: usize,
    /// It's stuck, and nobody has been told.
    is_news: bool,
    /// More work may come: the thread stays until that is known.
    is_kept: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the flip.
    Waiting,
    Sweeping,
    /// A shard can't be migrated.
    Stuck,
    /// There is nothing left to do, or nobody wants it.
    Ended,
}

impl Sweep {
    /// Starts the thread, which then waits for work. `rests` is called when there is none left, or a shard can't be
    /// migrated.
    pub(super) fn start(
        module: &str,
        converter: Arc<Footprint>,
        progress: Arc<Progress>,
        rests: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let work = Work {
            stage: Stage::Waiting,
            collections: Vec::new(),
            leftovers: Vec::new(),
            progress,
            deadline: None,
            number: 0,
            is_news: false,
            is_kept: false,
        };
        let shared = Shared { module: module.to_owned(), work: Mutex::new(work), bell: Bell::new() };
        let shared = Arc::new(shared);
        converter.begin_start();
        let run = {
            let (shared, converter) = (shared.clone(), converter.clone());
            move || {
                owed::run_for(converter.clone(), Hold::Hook("sweep"));
                shared.run(&converter, &rests);
            }
        };
        if let Err(error) = thread::Builder::new().name("liveswap-sweep".into()).spawn(run) {
            converter.not_started();
            return Err(error);
        }
        Ok(Self { shared, converter })
    }

    /// Adds what a flip has left. A collection that is here already was turned back.
    pub(super) fn add(
        &self,
        collections: Vec<Handle>,
        leftovers: Vec<Handle>,
        progress: Arc<Progress>,
        patience: Duration,
    ) {
        let replaced = {
            let mut work = lock(&self.shared.work);
            progress.begin(MigrationStage::Sweeping, collections.iter().map(Handle::count).sum());
            work.progress = progress;
            work.deadline = deadline_in(patience);
            work.number += 1;
            work.is_news = false;
            work.is_kept = false;
            work.leftovers.extend(leftovers);
            let mut replaced = Vec::new();
            for collection in collections {
                match work.collections.iter_mut().find(|known| known.is(&collection)) {
                    Some(known) => replaced.push(std::mem::replace(known, collection)),
                    None => work.collections.push(collection),
                }
            }
            work.stage = Stage::Sweeping;
            replaced
        };
        // Not the last of their collections, so nothing is dropped with them.
        drop(replaced);
        self.shared.bell.ring();
    }

    /// Has the thread stay though it may come to the end of its work, until more is [added](Self::add) or it's [let
    /// be](Self::let_be). False if it has ended already.
    pub(super) fn keep(&self) -> bool {
        let mut work = lock(&self.shared.work);
        work.is_kept = work.stage != Stage::Ended;
        work.is_kept
    }

    /// No more work comes.
    pub(super) fn let_be(&self) {
        lock(&self.shared.work).is_kept = false;
        self.shared.bell.ring();
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_ended(&self) -> bool {
        lock(&self.shared.work).stage == Stage::Ended
    }

    /// Whether it has work, and gets on with it.
    pub(super) fn is_sweeping(&self) -> bool {
        lock(&self.shared.work).stage == Stage::Sweeping
    }

    /// Whether a shard can't be migrated.
    pub(super) fn is_stuck(&self) -> bool {
        lock(&self.shared.work).stage == Stage::Stuck
    }

    /// Whether it has had no work yet.
    pub(super) fn is_waiting(&self) -> bool {
        lock(&self.shared.work).stage == Stage::Waiting
    }

    /// Whether a shard can't be migrated: once for each time.
    pub(super) fn take_stuck(&self) -> bool {
        std::mem::take(&mut lock(&self.shared.work).is_news)
    }

    /// Waits until there is nothing left to do. False if it's stuck, or the deadline has passed.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        loop {
            let rings = self.shared.bell.rings();
            match lock(&self.shared.work).stage {
                Stage::Ended => return true,
                Stage::Stuck => return false,
                Stage::Waiting | Stage::Sweeping => {}
            }
            if !self.shared.bell.wait(rings, deadline) {
                return false;
            }
        }
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        let mut work = lock(&self.shared.work);
        // With work left, that is done to its end. What is stuck isn't waited for.
        if matches!(work.stage, Stage::Waiting | Stage::Stuck) {
            work.stage = Stage::Ended;
        }
        work.is_kept = false;
        drop(work);
        self.shared.bell.ring();
    }
}

impl Shared {
    fn run(&self, converter: &Footprint, rests: &impl Fn()) {
        loop {
            let rings = self.bell.rings();
            let (stage, is_kept) = {
                let work = lock(&self.work);
                (work.stage, work.is_kept)
            };
            match stage {
                Stage::Sweeping => self.sweep_all(converter, rests),
                Stage::Ended if !is_kept => break,
                Stage::Waiting | Stage::Stuck | Stage::Ended => {
                    self.bell.wait(rings, None);
                }
            }
        }
        self.let_go(converter);
    }

    fn sweep_all(&self, converter: &Footprint, rests: &impl Fn()) {
        let (number, leftovers, collections) = {
            let mut work = lock(&self.work);
            (work.number, std::mem::take(&mut work.leftovers), work.collections.clone())
        };
        let swept = hook::call(converter, "sweep", || {
            drop(leftovers);
            collections.iter().try_for_each(|collection| self.sweep(collection))
        });
        let is_turned_back = |work: &Work| work.number != number;
        if swept.is_ok() && !is_turned_back(&lock(&self.work)) {
            // Before the end is told: then a later migration may give them another type.
            self.let_go(converter);
        }
        hook::call(converter, "sweep", || drop(collections));
        let mut work = lock(&self.work);
        if is_turned_back(&work) {
            return;
        }
        let progress = work.progress.clone();
        let (stage, shown) = match &swept {
            Ok(()) => (Stage::Ended, MigrationStage::Done),
            Err(_) => (Stage::Stuck, MigrationStage::Stuck),
        };
        work.stage = stage;
        work.is_news = stage == Stage::Stuck;
        progress.end(shown, swept.as_ref().err().map(ToString::to_string));
        drop(work);
        self.bell.ring();
        let module = &self.module;
        match swept {
            Ok(()) => {
                tell(|| tracing::info!(module, "the sweep is done: all of the state is migrated"));
            }
            Err(error) => {
                tell(|| tracing::error!(module, %error, "a part of the state can't be migrated"));
            }
        }
        rests();
    }

    /// The last of collections that nobody has any more may go with these.
    fn let_go(&self, converter: &Footprint) {
        let collections = std::mem::take(&mut lock(&self.work).collections);
        hook::call(converter, "sweep", || drop(collections));
    }

    /// Migrates each shard of a collection that hasn't been yet.
    fn sweep(&self, collection: &Handle) -> Result<(), MigrateError> {
        loop {
            let epoch = collection.epoch();
            let (mut index, mut pace) = (0, Pace::new());
            // It may grow meanwhile; what a shard is divided into was migrated before.
            while index < collection.count() {
                collection.settle(index)?;
                self.note_step();
                pace.step();
                index += 1;
            }
            if collection.finish(epoch) {
                return Ok(());
            }
        }
    }

    fn note_step(&self) {
        let mut work = lock(&self.work);
        work.progress.step();
        if work.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            work.deadline = None;
            drop(work);
            let module = &self.module;
            tell(|| tracing::warn!(module, "the sweep after a migration goes on beyond its deadline"));
        }
    }
}
