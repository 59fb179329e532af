//! One module under control: carries out what [`transition`](super::transition) decides.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use liveswap_state::{CodePointer, Context, Spawner, fence::Panic};
use thiserror::Error;

use super::departure::Departure;
use super::library::{Library, LoadError};
use super::reaper::Reaper;
use super::staged::Staged;
use super::transition::{self, Action, Event, Phase, Refusal, Slot, Step};
use super::{Serial, Settings};
use crate::call::{CallPath, Footprint, StatePointer, Version};
use crate::candidate::accept::{PrivateCopy, Source};
use crate::candidate::verify::{self, Readable};
use crate::candidate::{Digest, Manifest, StateManifest, VerifyError, VersionNumber};
use crate::engine::Published;
use crate::error::{CommitError, PushError, RollbackError};
use crate::host::hook;
use crate::lock::lock;
use crate::status::{Board, Placed, Stages, Swap};
use crate::tell::tell;

/// How many published versions are remembered, to tell the same version from another build of it.
const REMEMBERED_MAX: usize = 64;

/// Why a loaded candidate can't serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// Its `prepare` hook says that it can't.
    #[error("the version refused to serve: {reason}")]
    Refused {
        /// The hook's own words.
        reason: String,
    },
    /// A hook panicked.
    #[error("the version panicked in `{hook}` at {location}: {message}")]
    Panicked {
        /// The hook.
        hook: &'static str,
        /// The panic's message.
        message: String,
        /// Where it panicked.
        location: String,
    },
}

impl PrepareError {
    fn panicked(hook: &'static str, panic: Panic) -> Self {
        Self::Panicked { hook, message: panic.message, location: panic.location }
    }
}

/// A version with all that belongs to it.
pub(crate) struct Loaded {
    pub(crate) serial: Serial,
    pub(crate) number: VersionNumber,
    manifest: Manifest,
    copy: Arc<PrivateCopy>,
    library: Library,
    callable: Arc<Version>,
    footprint: Arc<Footprint>,
}

impl Loaded {
    fn depart(self) -> Departure {
        let Self { serial, number, copy, library, footprint, .. } = self;
        Departure { serial, number, footprint, library, copy, is_prepared: true }
    }
}

/// The persistent data, as the host owns it: an address, and what it is the address of.
pub(super) struct State {
    pointer: StatePointer,
    manifest: StateManifest,
}

/// Why the machine came to rest without having done what was asked.
enum Halt {
    Refused(Refusal),
    Failed(PushError),
}

pub(crate) struct Module {
    pub(crate) path: Arc<CallPath>,
    interface: &'static str,
    board: Arc<Mutex<Board>>,
    reaper: Arc<Reaper>,
    /// What the versions spawn through.
    spawner: Arc<dyn Spawner>,
    phase: Phase,
    /// The versions in the slots.
    loaded: Vec<Loaded>,
    staged: Option<Staged>,
    /// How long the steps of the swap under way have taken.
    stages: Stages,
    state: Option<State>,
    /// The predecessors of the active version, the latest last: what a rollback returns to. Their files
    /// are kept, whether or not they are still loaded.
    lineage: Vec<Arc<PrivateCopy>>,
    published: Vec<(VersionNumber, Digest)>,
}

impl Module {
    pub(crate) fn new(
        path: Arc<CallPath>,
        interface: &'static str,
        board: Arc<Mutex<Board>>,
        reaper: Arc<Reaper>,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        Self {
            path,
            interface,
            board,
            reaper,
            spawner,
            phase: Phase::EMPTY,
            loaded: Vec::new(),
            staged: None,
            stages: Stages::default(),
            state: None,
            lineage: Vec::new(),
            published: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.path.module
    }

    fn find(&self, serial: Option<Serial>) -> Option<&Loaded> {
        self.loaded.iter().find(|loaded| Some(loaded.serial) == serial)
    }

    fn active(&self) -> Option<&Loaded> {
        self.find(self.phase.slots().active)
    }

    fn standby(&self) -> Option<&Loaded> {
        self.find(self.phase.slots().standby)
    }

    pub(crate) fn active_number(&self) -> Option<VersionNumber> {
        self.active().map(|active| active.number.clone())
    }

    pub(crate) fn active_digest(&self) -> Option<Digest> {
        self.active().map(|active| active.copy.digest)
    }

    /// Counts a push that was refused.
    pub(crate) fn count_refused(&self) {
        lock(&self.board).swaps.refused += 1;
    }

    /// Takes a candidate through all steps. `stages` holds what accepting and reading it took.
    pub(crate) fn push(
        &mut self,
        staged: Staged,
        stages: Stages,
        settings: &Settings,
    ) -> Result<Published, PushError> {
        let from = self.active_number();
        let committed = self.standby().and(from.clone());
        let predecessor = self.active().map(|active| active.copy.clone());
        self.stages = stages;
        let event = Event::Push(staged.serial);
        self.staged = Some(staged);
        self.drive(event, settings).map_err(|halt| self.push_error(halt))?;
        self.lineage.extend(predecessor);
        let surplus = self.lineage.len().saturating_sub(settings.kept_max);
        self.lineage.drain(..surplus);
        if let Some(committed) = &committed {
            lock(&self.board).swaps.committed += 1;
            let module = self.name();
            tell(|| tracing::info!(module, version = %committed, "committed early, by the next push"));
        }
        Ok(self.conclude(from, committed))
    }

    /// Returns to the predecessor: at once if it is in the other slot, else by loading its kept file.
    pub(crate) fn rollback(&mut self, settings: &Settings) -> Result<Published, RollbackError> {
        let from = self.active_number();
        self.stages = Stages::default();
        let reloaded = if self.standby().is_some() {
            None
        } else {
            let no_predecessor = || RollbackError::NoPredecessor { module: self.name().to_owned() };
            let kept = self.lineage.last().ok_or_else(no_predecessor)?;
            let (staged, stages) = super::thread::stage(settings, Source::Kept(kept), None, true)?;
            let serial = staged.serial;
            (self.staged, self.stages) = (Some(staged), stages);
            Some(serial)
        };
        match self.drive(Event::Rollback { reloaded }, settings) {
            Ok(()) => {}
            Err(Halt::Refused(Refusal::NoPredecessor)) => {
                return Err(RollbackError::NoPredecessor { module: self.name().to_owned() });
            }
            Err(halt) => return Err(self.push_error(halt).into()),
        }
        self.lineage.pop();
        lock(&self.board).swaps.rolled_back += 1;
        Ok(self.conclude(from, None))
    }

    /// Ends probation: the predecessor leaves its slot. Returns the version that stays.
    pub(crate) fn commit(&mut self, settings: &Settings) -> Result<VersionNumber, CommitError> {
        let module = || self.name().to_owned();
        let active = self.active_number().ok_or_else(|| CommitError::NothingToCommit { module: module() })?;
        match self.drive(Event::Commit, settings) {
            Ok(()) => {
                lock(&self.board).swaps.committed += 1;
                tell(|| tracing::info!(module = self.name(), version = %active, "committed"));
                Ok(active)
            }
            Err(Halt::Refused(Refusal::Stopped)) => Err(CommitError::Stopped),
            Err(_) => Err(CommitError::NothingToCommit { module: self.name().to_owned() }),
        }
    }

    /// Nobody enters the module any more.
    pub(crate) fn close(&self) {
        self.path.stop();
    }

    /// Ends a closed module. Once the last call has left, its state is dropped and its libraries go to the
    /// reaper. With calls still inside at the deadline, the state stays.
    pub(crate) fn stop(&mut self, settings: &Settings, deadline: Option<Instant>) {
        let drained = loop {
            let rings = settings.bell.rings();
            let slots = self.phase.slots();
            let inside =
                [slots.active, slots.standby].into_iter().flatten().any(|s| self.path.is_inside(s.0));
            if !inside && !self.reaper.is_draining(self.name()) {
                break true;
            }
            if !settings.bell.wait(rings, deadline) {
                break false;
            }
        };
        if let Some(state) = self.state.take() {
            match self.active() {
                Some(active) if drained => destroy(&active.library, state),
                _ => {
                    let what = "the state is left in memory: calls are still inside";
                    tell(|| tracing::warn!(module = self.name(), "{what}"));
                }
            }
        }
        if let Err(Halt::Failed(error)) = self.drive(Event::Stop, settings) {
            tell(|| tracing::warn!(module = self.name(), %error, "while stopping"));
        }
    }

    fn push_error(&self, halt: Halt) -> PushError {
        match halt {
            Halt::Failed(error) => error,
            Halt::Refused(Refusal::Stopped) => PushError::Stopped,
            Halt::Refused(_) => {
                PushError::Busy { waits_for: format!("module `{}` is {}", self.name(), self.phase.name()) }
            }
        }
    }

    /// Writes down a swap that has happened, and says it once.
    fn conclude(&self, from: Option<VersionNumber>, committed: Option<VersionNumber>) -> Published {
        let to = self.active_number().expect("a swap ends with an active version");
        let swap = Swap { from, to, stages_us: self.stages };
        lock(&self.board).last_swap = Some(swap.clone());
        tell(|| {
            let from = swap.from.as_ref().map(tracing::field::display);
            tracing::info!(module = self.name(), from, to = %swap.to, "published");
        });
        Published { module: self.name().to_owned(), swap, committed }
    }

    /// Feeds an event to the machine, carries out what it decides, and goes on until it rests.
    fn drive(&mut self, event: Event, settings: &Settings) -> Result<(), Halt> {
        let mut event = Some(event);
        let mut outcome = Ok(());
        while let Some(happened) = event.take() {
            let (phase, actions) = transition::next(self.phase, happened);
            self.phase = phase;
            for action in actions {
                match action {
                    Action::Run(step) => {
                        self.write_board();
                        event = Some(match self.run(step, settings) {
                            Ok(()) => Event::Done,
                            Err(error) => {
                                outcome = Err(Halt::Failed(error));
                                Event::Failed
                            }
                        });
                    }
                    Action::Publish(serial) => self.publish(serial),
                    Action::Retire(serial) => self.retire(serial),
                    Action::Discard(_) => self.discard(),
                    Action::Refuse(refusal) => {
                        self.staged = None;
                        outcome = Err(Halt::Refused(refusal));
                    }
                }
            }
        }
        self.write_board();
        outcome
    }

    fn run(&mut self, step: Step, settings: &Settings) -> Result<(), PushError> {
        let mut staged = self.staged.take().expect("a swap has a candidate");
        let started = Instant::now();
        let outcome = match step {
            Step::Verify => self.verify(&mut staged, settings),
            Step::Load => load(&mut staged, self.spawner.clone()).map_err(PushError::from),
            Step::Prepare => self.prepare(&mut staged).map_err(PushError::from),
        };
        let took = micros(started.elapsed());
        match step {
            Step::Verify => *self.stages.verify.get_or_insert(0) += took,
            Step::Load => self.stages.load = Some(took),
            Step::Prepare => self.stages.prepare = Some(took),
        }
        self.staged = Some(staged);
        outcome
    }

    fn verify(&self, staged: &mut Staged, settings: &Settings) -> Result<(), PushError> {
        let Readable { manifest, version } = &staged.readable;
        let found = staged.digest();
        if let Some((_, expected)) = self.published.iter().find(|(number, _)| number == version)
            && *expected != found
        {
            let (version, expected) = (version.clone(), *expected);
            return Err(VerifyError::ConflictingVersion { version, found, expected }.into());
        }
        if let Some(active) = self.active_number()
            && *version < active
            && !staged.allow_older
        {
            return Err(VerifyError::OlderVersion { found: version.clone(), active }.into());
        }
        staged.places = verify::interface(manifest, self.interface, self.path.methods)?;
        if let Some(state) = &self.state {
            verify::state(&manifest.state, &state.manifest)?;
        }
        self.reaper.has_room(settings.retained_max)
    }

    fn prepare(&self, staged: &mut Staged) -> Result<(), PrepareError> {
        staged.prepared = true;
        let library = staged.library.as_ref().expect("prepare comes after load");
        let (entry, context) = (library.entry(), library.context());
        let footprint = &staged.footprint;
        match hook::call(footprint, "prepare", || (entry.prepare)(context)) {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(PrepareError::Refused { reason }),
            Err(panic) => return Err(PrepareError::panicked("prepare", *panic)),
        }
        if self.state.is_none() {
            let pointer = hook::call(footprint, "create", || (entry.create)(context))
                .map_err(|panic| PrepareError::panicked("create", *panic))?;
            let manifest = staged.readable.manifest.state.clone();
            staged.created = Some(State { pointer: StatePointer(pointer), manifest });
        }
        Ok(())
    }

    /// The candidate becomes the active version, or the standby does again. It can't fail.
    fn publish(&mut self, serial: Serial) {
        if let Some(staged) = self.staged.take() {
            self.install(staged);
        }
        let started = Instant::now();
        let loaded = self.find(Some(serial)).expect("what is published was loaded");
        self.path.publish(loaded.callable.clone());
        self.stages.publish = Some(micros(started.elapsed()));
        // Looking starts the clock of every call that is inside: from here on their ages are known.
        for other in self.loaded.iter().filter(|other| other.serial != serial) {
            self.path.holders(other.serial.0);
        }
    }

    /// Gives a prepared candidate its place among the loaded versions.
    fn install(&mut self, staged: Staged) {
        let Staged { serial, readable, copy, places, footprint, library, created, .. } = staged;
        if created.is_some() {
            self.state = created;
        }
        let library = library.expect("a candidate is published only after it was loaded");
        let code: Box<[CodePointer]> = places.iter().map(|place| library.entry().code[*place]).collect();
        let state = self.state.as_ref().expect("the first candidate made the state").pointer;
        let context = library.context().clone();
        let callable = Arc::new(Version { serial: serial.0, code, state, context });
        let Readable { manifest, version: number } = readable;
        self.published.retain(|(other, _)| *other != number);
        self.published.push((number.clone(), copy.digest));
        let surplus = self.published.len().saturating_sub(REMEMBERED_MAX);
        self.published.drain(..surplus);
        self.loaded.push(Loaded { serial, number, manifest, copy, library, callable, footprint });
    }

    fn retire(&mut self, serial: Serial) {
        let place = self.loaded.iter().position(|loaded| loaded.serial == serial);
        let loaded = self.loaded.swap_remove(place.expect("what is retired was loaded"));
        self.reaper.retire(self.path.clone(), loaded.depart());
    }

    /// Undoes what the steps of a failed candidate did.
    fn discard(&mut self) {
        let Some(staged) = self.staged.take() else { return };
        let Staged { serial, readable, copy, footprint, prepared, created, .. } = staged;
        let Some(library) = staged.library else { return };
        if let Some(created) = created {
            destroy(&library, created);
        }
        // Its hooks are called if `prepare` was.
        let number = readable.version;
        let departure = Departure { serial, number, footprint, library, copy, is_prepared: prepared };
        self.reaper.discard(self.path.clone(), departure);
    }

    /// What the status shows.
    fn write_board(&self) {
        let slots = self.phase.slots();
        let place = |loaded: Option<&Loaded>, slot: Slot| {
            loaded.map(|loaded| Placed {
                slot: slot.name(),
                serial: loaded.serial,
                version: loaded.number.clone(),
                state_schema: loaded.manifest.state.schema,
            })
        };
        let mut board = lock(&self.board);
        board.phase = self.phase.name();
        board.active = place(self.active(), slots.slot);
        board.standby = place(self.standby(), slots.slot.other());
    }
}

fn load(staged: &mut Staged, spawner: Arc<dyn Spawner>) -> Result<(), LoadError> {
    // Kept in `staged` from the first moment: whatever fails now, `discard` closes it and looks.
    // SAFETY: the copy is of a candidate that was verified.
    let library = staged.library.insert(unsafe { Library::open(&staged.copy) }?);
    let Readable { manifest, version } = &staged.readable;
    let context = Context::of_load(&manifest.module, version.to_string(), staged.serial.0, spawner);
    let (methods, footprint) = (manifest.methods.len(), &staged.footprint);
    let context = Arc::new(context);
    // SAFETY: `section` was read from the copy, and `verify::readable` has compared contract and compiler.
    hook::call(footprint, "bind", || unsafe {
        library.connect(&staged.section, methods, context, footprint.clone())
    })
}

fn destroy(library: &Library, state: State) {
    // A panic was logged when it happened. What it left of the state is lost; there is nobody who could act on it.
    // SAFETY: a version with this very state made it or has worked on it, and nobody is inside any more.
    let _ =
        hook::call(library.footprint(), "destroy", || unsafe { (library.entry().state.destroy)(state.pointer.0) });
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
