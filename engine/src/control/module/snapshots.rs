//! Taking snapshots of a module's state: when, and what becomes of them.
//!
//! A snapshot is [taken](super::super::capture) on a thread of its own. One is taken at a time; who asks for one while
//! another is under way gets the next, so that it shows no moment before it was asked for. None is taken while the
//! state is being migrated, and a migration that is about to begin has one that is under way given up.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::Settings;
use super::super::capture::{Capturing, Moment};
use super::super::library::Library;
use super::super::mailbox::Reply;
use super::super::restore::{RestoreError, restore};
use super::super::thread::answer;
use super::Module;
use crate::call::{Hold, StatePointer, owed};
use crate::candidate::StateManifest;
use crate::error::TakeError;
use crate::lock::lock;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::folder::{Newest, SnapshotFolder};
use crate::status::{SnapshotStatus, SnapshotTaken};
use crate::tell::tell;

/// How many snapshots that were passed over are told of in the status.
const PASSED_OVER_MAX: usize = 8;

type Outcome = Result<SnapshotTaken, TakeError>;

/// What a module's snapshots are taken with.
pub(crate) struct Snapshots {
    folder: Arc<Mutex<SnapshotFolder>>,
    /// Which one isn't removed.
    held: Arc<AtomicU64>,
    interval: Option<Duration>,
    /// Whether one is taken when the engine ends.
    at_end: bool,
    /// When the next one is due.
    due: Option<Instant>,
    under_way: Option<UnderWay>,
    /// Who waits for the one that is under way, and who for the next.
    waiting: Vec<Reply<SnapshotTaken, TakeError>>,
    asked: Vec<Reply<SnapshotTaken, TakeError>>,
    /// What is to be answered once the board shows it.
    answers: Vec<(Reply<SnapshotTaken, TakeError>, Outcome)>,
    status: SnapshotStatus,
}

struct UnderWay {
    is_cancelled: Arc<AtomicBool>,
    outcome: Arc<Mutex<Option<Outcome>>>,
    thread: JoinHandle<()>,
}

impl Snapshots {
    pub(crate) fn open(
        folder: &Path,
        module: &str,
        keep: NonZeroUsize,
        interval: Option<Duration>,
        at_end: bool,
    ) -> std::io::Result<Self> {
        let folder = SnapshotFolder::open(folder, module, keep)?;
        let (held, _) = folder.held();
        Ok(Self {
            folder: Arc::new(Mutex::new(folder)),
            held,
            interval,
            at_end,
            due: None,
            under_way: None,
            waiting: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
            status: SnapshotStatus::default(),
        })
    }

    /// A snapshot has ended, or is about to: takes note of it. Who asked for one that was given up gets the next.
    fn conclude(&mut self, under_way: UnderWay, module: &str) {
        // It runs no code that panics, but for what is fenced.
        let _ = under_way.thread.join();
        let Some(outcome) = lock(&under_way.outcome).take() else { return };
        self.note(&outcome, module);
        let waiting = std::mem::take(&mut self.waiting);
        if let Err(TakeError::Cancelled { .. }) = outcome {
            self.asked.extend(waiting);
        } else {
            self.answers.extend(waiting.into_iter().map(|reply| (reply, outcome.clone())));
        }
    }

    /// The one that is due can't even begin.
    fn refuse(&mut self, error: TakeError, module: &str) {
        let outcome = Err(error);
        self.note(&outcome, module);
        let waiting = std::mem::take(&mut self.waiting);
        self.answers.extend(waiting.into_iter().map(|reply| (reply, outcome.clone())));
    }

    /// Whether one is being taken this moment.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| lock(&under_way.outcome).is_none())
    }

    /// The module is gone, and its snapshots go with it. None is under way.
    pub(super) fn remove(self, module: &str) {
        for reply in self.asked.into_iter().chain(self.waiting) {
            answer(reply, Err(TakeError::NoState { module: module.to_owned() }));
        }
        if let Err(error) = lock(&self.folder).clear() {
            tell(|| tracing::warn!(module, %error, "its snapshots can't be removed"));
        }
    }

    /// For the board.
    pub(super) fn status(&self) -> SnapshotStatus {
        SnapshotStatus { under_way: self.under_way.is_some(), ..self.status.clone() }
    }

    /// When something is to be done.
    pub(crate) fn due(&self) -> Option<Instant> {
        if self.under_way.is_some() { None } else { self.due }
    }

    /// Keeps the newest snapshot until it's [let go](Self::let_go): a version that can't read later ones may need it. No
    /// snapshot may be under way.
    pub(super) fn hold(&self) {
        let (held, newest) = lock(&self.folder).held();
        held.store(newest, Ordering::Relaxed);
    }

    /// Keeps none that isn't one of the latest.
    pub(super) fn let_go(&self) {
        self.held.store(0, Ordering::Relaxed);
    }

    /// The state of the newest snapshot that is intact; none if there is no snapshot at all.
    ///
    /// A version that has taken over again may find snapshots of its successor's, which it can't read: those it
    /// `returns` past.
    pub(super) fn restore(
        &mut self,
        settings: &Settings,
        library: &Library,
        manifest: &StateManifest,
        module: &str,
        returns: bool,
    ) -> Result<Option<StatePointer>, RestoreError> {
        self.status.passed_over.clear();
        let (mut found, mut others) = (lock(&self.folder).newest()?, None);
        let (state, path) = loop {
            let Newest { intact, number, refused } = found;
            for error in refused {
                // It may be whole, and newer than what would take its place.
                if matches!(error, SnapshotError::Unreadable { .. }) {
                    return Err(error.into());
                }
                self.pass_over(error.code(), &error.to_string(), module);
            }
            // With only such as it can't read, it isn't at the beginning.
            let Some(intact) = intact else { return others.map_or(Ok(None), Err) };
            let path = intact.path().to_owned();
            match restore(&settings.hooks, library, manifest, intact) {
                Ok(state) => break (state, path),
                Err(error @ RestoreError::OtherState { .. }) if returns => {
                    self.pass_over(error.code(), &error.to_string(), module);
                    others.get_or_insert(error);
                    found = lock(&self.folder).newest_before(number)?;
                }
                Err(error) => return Err(error),
            }
        };
        tell(|| tracing::info!(module, path = %path.display(), "restored a snapshot"));
        self.status.restored_from = Some(path);
        Ok(Some(state))
    }

    fn pass_over(&mut self, code: &str, why: &str, module: &str) {
        tell(|| tracing::error!(module, code, "passed a snapshot over: {why}"));
        self.status.passed_over.push(why.to_owned());
        self.status.passed_over.truncate(PASSED_OVER_MAX);
    }

    fn note(&mut self, outcome: &Outcome, module: &str) {
        match outcome {
            Ok(taken) => {
                self.status.taken += 1;
                self.status.last = Some(taken.clone());
                let SnapshotTaken { path, bytes, took_us, .. } = taken;
                tell(|| tracing::info!(module, path = %path.display(), bytes, took_us, "took a snapshot"));
            }
            Err(TakeError::Cancelled { .. }) => {
                tell(|| tracing::info!(module, "gave a snapshot up: the state is being migrated"));
            }
            Err(error) => {
                self.status.failed += 1;
                self.status.last_failure = Some(error.to_string());
                tell(|| tracing::error!(module, code = error.code(), "can't take a snapshot: {error}"));
            }
        }
    }
}

impl Module {
    /// Takes a snapshot, and replies when it's on the disk.
    pub(crate) fn snapshot(&mut self, reply: Reply<SnapshotTaken, TakeError>, settings: &Settings) {
        let module = self.name().to_owned();
        let refusal = match (&self.snapshots, &self.state) {
            (None, _) => Some(TakeError::NotConfigured { module }),
            (_, None) => Some(TakeError::NoState { module }),
            _ => None,
        };
        match (refusal, &mut self.snapshots) {
            (None, Some(snapshots)) => snapshots.asked.push(reply),
            (Some(refusal), _) => answer(reply, Err(refusal)),
            (None, None) => {}
        }
        self.tend_snapshots(settings);
    }

    /// Takes note of a snapshot that has ended, and begins the next if it's due.
    pub(super) fn tend_snapshots(&mut self, settings: &Settings) {
        let module = self.name().to_owned();
        let Some(snapshots) = &mut self.snapshots else { return };
        if let Some(under_way) = snapshots.under_way.take_if(|it| lock(&it.outcome).is_some()) {
            snapshots.conclude(under_way, &module);
        }
        self.begin_snapshot(settings);
        self.show_and_answer();
    }

    /// In this order: who has an answer finds it in the status.
    fn show_and_answer(&mut self) {
        self.write_board();
        let answers = self.snapshots.as_mut().map(|snapshots| std::mem::take(&mut snapshots.answers));
        answers.into_iter().flatten().for_each(|(reply, outcome)| answer(reply, outcome));
    }

    /// Gives a snapshot that is under way up, and waits until it has ended.
    pub(super) fn cancel_snapshot(&mut self) {
        let module = self.name().to_owned();
        let Some(snapshots) = &mut self.snapshots else { return };
        if let Some(under_way) = snapshots.under_way.take() {
            // Relaxed: whoever sees it late writes one shard more.
            under_way.is_cancelled.store(true, Ordering::Relaxed);
            snapshots.conclude(under_way, &module);
            self.show_and_answer();
        }
    }

    /// Whether no shard is on its way, or those that are don't get on.
    pub(super) fn is_at_rest(&self) -> bool {
        self.sweep.as_ref().is_none_or(|sweep| sweep.is_ended() || sweep.is_stuck())
    }

    fn begin_snapshot(&mut self, settings: &Settings) {
        let is_stuck = self.sweep.as_ref().is_some_and(super::Sweep::is_stuck);
        let is_at_rest = self.is_at_rest() && !self.is_being_copied();
        let is_trusted = !self.is_barred();
        let moment = self.moment(settings);
        let (Some(snapshots), Some(moment)) = (&mut self.snapshots, moment) else { return };
        let now = Instant::now();
        // None for an interval beyond all time, too.
        let next = snapshots.interval.and_then(|interval| now.checked_add(interval));
        snapshots.due = snapshots.due.or(next);
        let is_due = snapshots.due.is_some_and(|due| now >= due) && is_trusted;
        if snapshots.under_way.is_some() || !is_at_rest || (!is_due && snapshots.asked.is_empty()) {
            return;
        }
        snapshots.due = next;
        snapshots.waiting.append(&mut snapshots.asked);
        if is_stuck {
            let reason = "a part of it can't be migrated".to_owned();
            return snapshots.refuse(TakeError::Unencodable { reason }, &self.path.module);
        }
        let (is_cancelled, outcome) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let footprint = moment.footprint.clone();
        footprint.begin_start();
        let run = {
            let (folder, wake) = (snapshots.folder.clone(), settings.wake.clone());
            let (is_cancelled, outcome) = (is_cancelled.clone(), outcome.clone());
            move || {
                owed::run_for(moment.footprint.clone(), Hold::Hook("snapshot"));
                let taken = Capturing { moment, is_cancelled: &is_cancelled }.take(&mut lock(&folder));
                *lock(&outcome) = Some(taken);
                // If it's full, somebody else has woken the control thread.
                let _ = wake.try_send(());
            }
        };
        match thread::Builder::new().name("liveswap-snapshot".into()).spawn(run) {
            Ok(thread) => snapshots.under_way = Some(UnderWay { is_cancelled, outcome, thread }),
            Err(error) => {
                footprint.not_started();
                let error = TakeError::NoThread { reason: error.to_string() };
                snapshots.refuse(error, &self.path.module);
            }
        }
    }

    /// What a snapshot that begins now is of.
    pub(super) fn moment(&self, settings: &Settings) -> Option<Moment> {
        let (active, state) = (self.active()?, self.state.as_ref()?);
        Some(Moment {
            path: self.path.clone(),
            footprint: active.footprint.clone(),
            table: active.library.entry().state,
            state: state.pointer,
            pause_max: settings.pause_max,
            patience: settings.hand_over_deadline,
        })
    }

    /// The engine ends: one last snapshot, if nobody is inside any more.
    pub(super) fn end_snapshots(&mut self, drained: bool, settings: &Settings) {
        if !drained {
            // A call that is still inside may hold the sweep up, and the snapshot: neither is waited for.
            if let Some(under_way) = self.snapshots.as_mut().and_then(|snapshots| snapshots.under_way.take())
            {
                under_way.is_cancelled.store(true, Ordering::Relaxed);
            }
        } else if let Some(sweep) = &self.sweep {
            sweep.wait(None);
        }
        if drained {
            self.end_copy();
        }
        let is_trusted = !self.is_barred();
        let is_swept = self.sweep.as_ref().is_none_or(super::Sweep::is_ended);
        let (module, moment) = (self.name().to_owned(), self.moment(settings));
        let Some(snapshots) = &mut self.snapshots else { return };
        if let Some(under_way) = snapshots.under_way.take() {
            // It ends by itself, since nobody is in the state.
            snapshots.conclude(under_way, &module);
        }
        if let Some(moment) = moment.filter(|_| snapshots.at_end && drained && is_trusted && is_swept) {
            let is_cancelled = AtomicBool::new(false);
            let outcome =
                Capturing { moment, is_cancelled: &is_cancelled }.take(&mut lock(&snapshots.folder));
            snapshots.note(&outcome, &module);
        }
        self.show_and_answer();
    }
}
