//! The step that a candidate takes in a process of its own, before any of its code runs here.
//!
//! What is laid out for that process: the private copies of both versions, the recorded calls, and a copy of the state.
//! That copy is made while calls go on, on a thread of its own, since a call may hold a part of the state for as long
//! as it likes. If there is none in time, or none to be had, a created state takes its place, and the report says so.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, bounded};
use liveswap_state::{Encoder, State as _};

use super::super::Settings;
use super::super::capture::{Capturing, Copied};
use super::super::staged::Staged;
use super::Module;
use crate::call::{Hold, owed};
use crate::config::value;
use crate::error::{PushError, RehearsalError, TakeError};
use crate::rehearsal::order::{CALLS, Order, STATE};
use crate::rehearsal::recorder::Recorder;
use crate::rehearsal::supervisor::{create, supervise};
use crate::rehearsal::{NotCompared, Rehearsal, Rehearsed, StateCopy};
use crate::tell::tell;

/// How often it's looked whether a snapshot that is under way has ended.
const TICK: Duration = Duration::from_millis(5);

/// A copy of the state that is being made, or was.
pub(super) struct Copying {
    is_cancelled: Arc<AtomicBool>,
    is_ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Module {
    /// The module, with a recorder of its calls.
    pub(crate) fn recording(mut self, rehearsal: Option<&Rehearsal>) -> Self {
        let recorder = rehearsal.and_then(|rehearsal| Recorder::new(rehearsal, self.path.methods));
        self.recorder = recorder.map(Arc::new);
        self
    }

    /// Rehearses the candidate, if that is wanted.
    pub(super) fn rehearse(&mut self, staged: &Staged, settings: &Settings) -> Result<(), PushError> {
        if staged.allowed.rehearsal != Some(true) {
            return Ok(());
        }
        let started = Instant::now();
        let folder = settings.folder.for_rehearsal();
        let folder = folder.map_err(RehearsalError::system("make a folder for the rehearsal"))?;
        let (state, state_reason) = self.copy_state(folder.path(), settings)?;
        let (kept, calls) =
            (self.recorder.as_ref().map(|recorder| recorder.calls()), folder.path().join(CALLS));
        let kept = kept.unwrap_or_default().into_iter();
        let kept: Vec<_> =
            kept.map(|call| (self.path.methods[call.method].name.to_owned(), call.arguments)).collect();
        write_calls(&calls, &kept)?;
        let order = self.order(staged, state, settings);
        let (rehearsal, until) = (&settings.rehearsal, started + settings.rehearsal.deadline);
        let has_ended = || settings.ends_within(Duration::ZERO);
        let passed = supervise(rehearsal, folder.path(), order, until, has_ended)?;
        let Some(passed) = passed else { return Err(PushError::Stopped) };
        let mut not_compared = self.not_recorded(&settings.rehearsal);
        not_compared.extend(passed.not_compared);
        let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (calls, compared) = (passed.calls, passed.compared);
        tell(|| {
            let (module, version) = (self.name(), &staged.readable.version);
            tracing::info!(module, %version, calls, compared, ?state, state_reason, took_ms, "rehearsed");
        });
        self.rehearsed = Some(Rehearsed { calls, compared, not_compared, state, state_reason, took_ms });
        Ok(())
    }

    fn order(&self, staged: &Staged, state: StateCopy, settings: &Settings) -> Order {
        let Rehearsal { memory_max, processor_max, .. } = settings.rehearsal;
        let has_state = self.state.is_some();
        Order {
            parent: rustix::process::getpid().as_raw_nonzero().get(),
            candidate: staged.copy.path.clone(),
            // Without a state, the candidate begins with one of its own.
            running: self.active().filter(|it| has_state && !it.is_built_in()).map(|it| it.copy.path.clone()),
            has_state: state != StateCopy::Created,
            candidate_size_max: settings.candidate_size_max,
            memory_max,
            processor_max_s: processor_max.map(|time| time.as_secs().max(1)),
            excluded: Vec::new(),
            options: value::table(&self.services.options.current()).to_string(),
        }
    }

    /// The methods whose calls aren't recorded, if any are.
    fn not_recorded(&self, rehearsal: &Rehearsal) -> Vec<NotCompared> {
        let Some(recorder) = &self.recorder else { return Vec::new() };
        let not_recorded = self.path.methods.iter().enumerate().filter_map(|(place, method)| {
            let why = if rehearsal.left_out.iter().any(|name| name == method.name) {
                "it's left out"
            } else if !method.is_replayable() {
                "its arguments or its result hold what has no bytes, or what others may change"
            } else if recorder.is_too_large(place) {
                "a call of it had arguments that are too large to be kept"
            } else {
                return None;
            };
            Some(NotCompared::new(method.name, why))
        });
        not_recorded.collect()
    }

    /// Copies the state into the folder, if it can be had in time; else says why not.
    fn copy_state(
        &mut self,
        folder: &Path,
        settings: &Settings,
    ) -> Result<(StateCopy, Option<String>), PushError> {
        if self.state.is_none() {
            return Ok((StateCopy::Created, None));
        }
        if self.active().is_some_and(super::Loaded::is_built_in) {
            let reason = "the version that serves is built into the host, and another process can't load it";
            return Ok((StateCopy::Created, Some(reason.to_owned())));
        }
        let until = Instant::now() + settings.rehearsal.deadline / 3;
        if self.sweep.as_ref().is_some_and(|sweep| !sweep.wait(Some(until))) {
            return Ok((StateCopy::Created, Some("the state is being migrated".to_owned())));
        }
        while self.is_being_copied() || self.snapshots.as_ref().is_some_and(super::Snapshots::is_under_way) {
            if settings.ends_within(TICK) {
                return Err(PushError::Stopped);
            }
            if Instant::now() >= until {
                return Ok((StateCopy::Created, Some("a snapshot is being taken".to_owned())));
            }
        }
        let (path, file) = create(folder, STATE)?;
        Ok(match self.copy_state_by(until, path, file, settings)? {
            Some(Ok(Copied::Whole)) => (StateCopy::Snapshot, None),
            Some(Ok(Copied::Part)) => {
                let reason = format!("it has more than {} bytes", settings.rehearsal.state_bytes_max);
                (StateCopy::Sample, Some(reason))
            }
            Some(Ok(Copied::TooLarge { bytes })) => {
                let (limit, what) = (settings.rehearsal.state_bytes_max, "without its large collections");
                let reason = format!("it has {bytes} bytes {what}, and {limit} are copied at most");
                (StateCopy::Created, Some(reason))
            }
            Some(Err(error)) => (StateCopy::Created, Some(error.to_string())),
            None => (StateCopy::Created, Some("it couldn't be copied in time".to_owned())),
        })
    }

    /// Copies the state on a thread beside this one. None if it hasn't ended by then; it does so later.
    fn copy_state_by(
        &mut self,
        until: Instant,
        path: PathBuf,
        file: File,
        settings: &Settings,
    ) -> Result<Option<Result<Copied, TakeError>>, PushError> {
        let mut moment = self.moment(settings).expect("there is a state, and so there is a version");
        // The other half is for writing it down.
        moment.patience = moment.patience.min(until.saturating_duration_since(Instant::now()) / 2);
        let (bytes_max, wake) = (settings.rehearsal.state_bytes_max, settings.wake.clone());
        let (is_cancelled, is_ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (report, outcome) = bounded(1);
        let footprint = moment.footprint.clone();
        footprint.begin_start();
        let run = {
            let (is_cancelled, is_ended) = (is_cancelled.clone(), is_ended.clone());
            move || {
                owed::run_for(moment.footprint.clone(), Hold::Hook("snapshot"));
                let copied = Capturing { moment, is_cancelled: &is_cancelled }.copy(path, file, bytes_max);
                // Release: whoever sees it begins another snapshot.
                is_ended.store(true, Ordering::Release);
                // There is room. If nobody waits any more, the control thread may have one to begin.
                let _ = report.send(copied);
                let _ = wake.try_send(());
            }
        };
        let thread = thread::Builder::new().name("liveswap-snapshot".into()).spawn(run);
        let thread = thread.map_err(|error| {
            footprint.not_started();
            RehearsalError::system("start a thread for the state's copy")(error)
        })?;
        self.copying = Some(Copying { is_cancelled, is_ended, thread });
        loop {
            match outcome.recv_timeout(TICK) {
                Ok(copied) => {
                    self.end_copy();
                    return Ok(Some(copied));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                // It may wait for a call, for as long as that likes.
                Err(_) => {
                    self.cancel_copy();
                    return Ok(None);
                }
            }
            if settings.ends_within(Duration::ZERO) {
                self.cancel_copy();
                return Err(PushError::Stopped);
            }
        }
    }

    /// The copy that is being made, if any, isn't wanted any more. It won't look at the state itself after this.
    fn cancel_copy(&self) {
        if let Some(copying) = &self.copying {
            // Relaxed: it's looked at while nobody is in the state, and who changes that has to be there too.
            copying.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Waits for the copy that is being made, if any: nobody may be in the state for long.
    pub(super) fn end_copy(&mut self) {
        self.cancel_copy();
        if let Some(copying) = self.copying.take() {
            // It runs no code that panics, but for what is fenced.
            let _ = copying.thread.join();
        }
    }

    /// Whether a copy is being made: then no snapshot can be taken.
    pub(super) fn is_being_copied(&self) -> bool {
        // Acquire: pairs with the store at its end.
        self.copying.as_ref().is_some_and(|copying| !copying.is_ended.load(Ordering::Acquire))
    }
}

fn write_calls(path: &Path, calls: &Vec<(String, Vec<u8>)>) -> Result<(), RehearsalError> {
    let write = || {
        let mut encoder = Encoder::new();
        calls.encode(&mut encoder);
        let bytes = encoder.finish().map_err(std::io::Error::other)?;
        File::create_new(path)?.write_all(&bytes)
    };
    write().map_err(RehearsalError::system(format!("write {}", path.display())))
}
