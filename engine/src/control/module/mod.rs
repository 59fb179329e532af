//! One module under control: carries out what [`transition`](super::transition) decides.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | a module's versions, and what becomes of them |
//! | [`attempt`] | a hook that may have to wait for the state, and who may give it up |
//! | [`built_in`] | beginning with what is built into the host |
//! | [`commands`] | what is asked of it: a push, a rollback, a commit |
//! | [`instance`] | what it has as an instance of a factory |
//! | [`configure`] | telling it what is set for it |
//! | [`steps`] | the steps that a candidate is taken through |
//! | [`yielding`] | asking the version that serves to hand over, and telling it what has become of that |
//! | [`rehearse`] | the one that is taken in a process of its own |
//! | [`lifecycle`] | the hooks that begin and end the module itself |
//! | [`migrate`] | the steps that the state takes with it |
//! | [`probation`] | what becomes of a version that was just published |
//! | [`snapshots`] | taking snapshots of the state |
//! | [`suspect`] | what is done about a state that may be half changed |
//! | [`together`] | its part in the swap of a set |

mod attempt;
mod built_in;
mod commands;
mod configure;
mod instance;
mod lifecycle;
mod migrate;
mod probation;
mod rehearse;
mod snapshots;
mod steps;
mod suspect;
mod together;
mod yielding;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use liveswap_state::{BuiltIn, CodePointer, Modules, SharedOptions, Spawner};

use super::departure::Departure;
use super::library::Library;
use super::reaper::{Reaper, described};
use super::staged::Staged;
use super::state::State;
use super::sweep::Sweep;
use super::transition::{self, Action, Event, Phase, Refusal, Slot, Step, Word};
use super::{Serial, Settings};
use crate::call::meter::Meter;
use crate::call::{CallPath, FIRST_GENERATION, Footprint, Version};
use crate::candidate::private::PrivateCopy;
use crate::candidate::verify::Readable;
use crate::candidate::{Digest, Manifest, VersionNumber};
use crate::engine::Migrated;
use crate::error::PushError;
use crate::lock::lock;
use crate::registry::Exports;
use crate::rehearsal::Rehearsed;
use crate::rehearsal::recorder::Recorder;
use crate::spawn::Work;
use crate::status::{Board, Placed, Stages, Suspicion};
use crate::tell::tell;
use attempt::Attempt;
pub(crate) use commands::{PushBegun, RollbackBegun};
pub use configure::ConfigureError;
pub(crate) use probation::Oversight;
pub(crate) use snapshots::Snapshots;
pub use steps::PrepareError;
pub(crate) use steps::ask;
pub use yielding::YieldError;

/// How many published versions are remembered, to tell the same version from another build of it.
const REMEMBERED_MAX: usize = 64;

/// A version with all that belongs to it.
pub(crate) struct Loaded {
    pub(crate) serial: Serial,
    pub(crate) number: VersionNumber,
    manifest: Manifest,
    exports: Arc<Exports>,
    copy: Arc<PrivateCopy>,
    library: Library,
    /// The code of the host's methods, in their order.
    code: Arc<[CodePointer]>,
    footprint: Arc<Footprint>,
    /// Notes what becomes of its calls, if the module has a policy for probation.
    meter: Option<Arc<Meter>>,
    recorder: Option<Arc<Recorder>>,
}

impl Loaded {
    fn depart(self) -> Departure {
        let Self { serial, number, copy, library, footprint, .. } = self;
        Departure { serial, number, footprint, library, copy, is_prepared: true }
    }

    /// The version as calls see it, with the state as it is now.
    fn callable(&self, state: &State) -> Arc<Version> {
        Arc::new(Version {
            serial: self.serial.0,
            code: self.code.clone(),
            state: state.pointer,
            generation: state.generation,
            context: self.library.context().clone(),
            meter: self.meter.clone(),
            recorder: self.recorder.clone(),
        })
    }
}

/// What the contexts of a module's versions lead to.
#[derive(Clone)]
pub(crate) struct Services {
    /// What they spawn through.
    pub(crate) spawner: Arc<dyn Spawner>,
    /// The modules that they reach.
    pub(crate) modules: Arc<dyn Modules>,
    /// What is set for the module, as it's in force.
    pub(crate) options: Arc<SharedOptions>,
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
    services: Services,
    /// What the module does in the background: timers come due once it has a version.
    work: Option<Arc<Work>>,
    phase: Phase,
    /// The versions in the slots.
    loaded: Vec<Loaded>,
    staged: Option<Staged>,
    /// How long the steps of the swap under way have taken.
    stages: Stages,
    /// What became of the state in it, if it was migrated.
    migrated: Option<Migrated>,
    /// How its rehearsal has ended, if there was one.
    rehearsed: Option<Rehearsed>,
    /// Keeps some of the calls, for rehearsals.
    recorder: Option<Arc<Recorder>>,
    /// The copy of the state that is being made for one.
    copying: Option<rehearse::Copying>,
    state: Option<State>,
    /// The options that the state was configured with last. Changed by who has the state alone.
    heard: Arc<SharedOptions>,
    /// A hook that was given up at that.
    is_telling: Option<Attempt>,
    /// The generation that a module's first state is of, or the first after one that was lost.
    first_generation: usize,
    /// The migration of the swap under way, if it has one.
    needed: Option<migrate::Needed>,
    /// The state has become the candidate's, and no call is let in until that is published.
    handed_over: Option<migrate::HandedOver>,
    /// What migrates the rest of the state, since the last hand-over.
    sweep: Option<Sweep>,
    pub(super) snapshots: Option<Snapshots>,
    /// The suspicion that was dealt with last.
    suspicion: Option<Suspicion>,
    /// The last snapshot is to take the place of the state, and hasn't yet.
    is_to_be_restored: bool,
    /// The predecessors of the active version, the latest last: what a rollback returns to. Their files
    /// are kept, whether or not they are still loaded.
    lineage: Vec<Arc<PrivateCopy>>,
    /// What isn't kept any longer. Their files go as soon as nobody waits.
    surplus: Vec<Arc<PrivateCopy>>,
    /// Whether a version has retired that the reaper hasn't been told of. It would take the processor from whoever waits
    /// for an answer.
    has_retired: bool,
    published: Vec<(VersionNumber, Digest)>,
    /// What versions will be told of a hand-over, once nobody waits for an answer.
    to_tell: Vec<(Serial, Word)>,
    /// The veto that the push under way has overridden.
    forced: Option<String>,
    oversight: Oversight,
    life: lifecycle::Life,
    /// What it begins with, if the host has linked it in.
    built_in: Option<BuiltIn>,
    /// The factory that it's an instance of.
    factory: Option<String>,
    /// It's about to be destroyed.
    is_leaving: bool,
}

impl Module {
    pub(crate) fn new(
        path: Arc<CallPath>,
        interface: &'static str,
        board: Arc<Mutex<Board>>,
        reaper: Arc<Reaper>,
        services: Services,
        snapshots: Option<Snapshots>,
        oversight: Oversight,
    ) -> Self {
        Self {
            path,
            interface,
            board,
            reaper,
            services,
            work: None,
            phase: Phase::EMPTY,
            loaded: Vec::new(),
            staged: None,
            stages: Stages::default(),
            migrated: None,
            rehearsed: None,
            recorder: None,
            copying: None,
            state: None,
            heard: Arc::default(),
            is_telling: None,
            first_generation: FIRST_GENERATION,
            needed: None,
            handed_over: None,
            sweep: None,
            snapshots,
            suspicion: None,
            is_to_be_restored: false,
            lineage: Vec::new(),
            surplus: Vec::new(),
            has_retired: false,
            published: Vec::new(),
            to_tell: Vec::new(),
            forced: None,
            oversight,
            life: lifecycle::Life::default(),
            built_in: None,
            factory: None,
            is_leaving: false,
        }
    }

    /// With what it does in the background.
    pub(crate) fn working(mut self, work: Arc<Work>) -> Self {
        self.work = Some(work);
        self
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

    /// Looks after what goes on by itself: what it has come to, and what is due.
    pub(crate) fn tend(&mut self, settings: &Settings) {
        self.tell_of_hand_overs(settings);
        self.tend_sweep(settings);
        self.tend_suspicion(settings);
        self.oversee(settings);
        // It may have rolled something back.
        self.tell_of_hand_overs(settings);
        self.tend_snapshots(settings);
        // Now that nobody waits for an answer.
        self.surplus.clear();
        if std::mem::take(&mut self.has_retired) {
            settings.hooks.settle();
            self.reaper.look();
        }
    }

    /// When there will be something to look after.
    pub(crate) fn due(&self) -> Option<Instant> {
        // What keeps a snapshot from being taken wakes the thread when it's over.
        let can_be_taken = self.is_at_rest() && !self.is_barred() && !self.is_being_copied();
        let snapshot = self.snapshots.as_ref().filter(|_| can_be_taken).and_then(Snapshots::due);
        snapshot.into_iter().chain(self.oversight.due()).min()
    }

    /// Nobody enters the module any more, and what it does in the background has ended.
    pub(crate) fn close(&self) {
        self.path.stop();
        if let Some(work) = &self.work {
            work.end();
        }
    }

    /// Ends a closed module. Once the last call has left, its state is dropped and its libraries go to the
    /// reaper. With calls still inside at the deadline, the state stays.
    pub(crate) fn stop(&mut self, settings: &Settings, deadline: Option<Instant>) {
        let drained = self.is_drained_by(settings, deadline) && !self.is_kept_by_a_hook();
        self.end_snapshots(drained, settings);
        if let Some(state) = self.state.take() {
            match self.active() {
                Some(active) if drained => state.destroy(&active.library, &settings.hooks),
                _ => {
                    let (module, holders) = (self.name(), self.held_by());
                    tell(|| tracing::warn!(module, holders, "the state is left in memory: it's still held"));
                }
            }
        }
        // Only now: until then it keeps the library that knows what is in shards that are on their way.
        self.sweep = None;
        self.end_probation();
        if let Err(Halt::Failed(error)) = self.drive(Event::Stop, settings) {
            tell(|| tracing::warn!(module = self.name(), %error, "while stopping"));
        }
    }

    /// Whether the last call has left a closed module before the deadline.
    pub(crate) fn is_drained_by(&self, settings: &Settings, deadline: Option<Instant>) -> bool {
        loop {
            let rings = settings.bell.rings();
            let slots = self.phase.slots();
            let inside =
                [slots.active, slots.standby].into_iter().flatten().any(|s| self.path.is_inside(s.0));
            if !inside && !self.reaper.is_draining(&self.path) {
                return true;
            }
            if !settings.bell.wait(rings, deadline) {
                return false;
            }
        }
    }

    /// Who holds a closed module: calls that haven't left it, and leases; and hooks that have missed their deadline.
    fn held_by(&self) -> String {
        let mut holders = self.reaper.draining(&self.path);
        for loaded in &self.loaded {
            holders.extend(self.path.holders(loaded.serial.0));
            holders.extend(loaded.footprint.holders());
        }
        described(&holders, "a version of it is being taken down")
    }

    /// Feeds an event to the machine, carries out what it decides, and goes on until it rests.
    fn drive(&mut self, event: Event, settings: &Settings) -> Result<(), Halt> {
        self.drive_up_to(None, event, settings)
    }

    /// The same, but no further than to this step, which then is still to be taken.
    fn drive_up_to(&mut self, last: Option<Step>, event: Event, settings: &Settings) -> Result<(), Halt> {
        let mut event = Some(event);
        let mut outcome = Ok(());
        while let Some(happened) = event.take() {
            let (phase, actions) = transition::next(self.phase, happened);
            self.phase = phase;
            for action in actions {
                match action {
                    // Nothing comes after it.
                    Action::Run(step) if last == Some(step) => {}
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
                    Action::Publish(serial) => self.publish(serial, settings),
                    Action::Tell(serial, word) => self.to_tell.push((serial, word)),
                    Action::Retire(serial) => self.retire(serial),
                    Action::Discard(_) => self.discard(settings),
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

    /// The candidate becomes the active version, or the standby does again. It can't fail.
    fn publish(&mut self, serial: Serial, settings: &Settings) {
        if let Some(staged) = self.staged.take() {
            self.install(staged);
        }
        let started = Instant::now();
        let manifest = self.find(Some(serial)).expect("what is published was loaded").manifest.state.clone();
        let state = self.state.as_mut().expect("the first candidate made the state");
        // It may know other ways from here than the one before.
        state.manifest = manifest;
        let (loaded, state) = (self.find(Some(serial)), self.state.as_ref());
        let callable = loaded.zip(state).map(|(loaded, state)| loaded.callable(state));
        let callable = callable.expect("both were there just now");
        match self.handed_over.take() {
            None => self.path.publish(callable),
            Some(handed_over) => self.finish_hand_over(handed_over, callable, settings),
        }
        self.note_first_version();
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
        let code: Arc<[CodePointer]> = places.iter().map(|place| library.entry().code[*place]).collect();
        let Readable { manifest, version: number } = readable;
        self.published.retain(|(other, _)| *other != number);
        self.published.push((number.clone(), copy.digest));
        let surplus = self.published.len().saturating_sub(REMEMBERED_MAX);
        self.published.drain(..surplus);
        let (meter, recorder) = (self.oversight.meter(code.len()), self.recorder.clone());
        self.loaded.push(Loaded {
            serial,
            number,
            exports: Arc::new(Exports::of(&manifest)),
            manifest,
            copy,
            library,
            code,
            footprint,
            meter,
            recorder,
        });
    }

    fn retire(&mut self, serial: Serial) {
        let place = self.loaded.iter().position(|loaded| loaded.serial == serial);
        let loaded = self.loaded.swap_remove(place.expect("what is retired was loaded"));
        self.reaper.retire(self.path.clone(), loaded.depart());
        self.has_retired = true;
    }

    /// Undoes what the steps of a failed candidate did.
    fn discard(&mut self, settings: &Settings) {
        let Some(staged) = self.staged.take() else { return };
        if staged.is_stuck {
            return self.reaper.list_unloaded(self.path.clone(), &staged);
        }
        let Staged { serial, readable, copy, footprint, prepared, created, .. } = staged;
        let Some(library) = staged.library else { return };
        if let Some(created) = created {
            created.destroy(&library, &settings.hooks);
        }
        // Its hooks are called if `prepare` was.
        let number = readable.version;
        let departure = Departure { serial, number, footprint, library, copy, is_prepared: prepared };
        settings.hooks.settle();
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
                origin: loaded.origin(),
                exports: loaded.exports.clone(),
            })
        };
        let mut board = lock(&self.board);
        board.phase = self.phase.name();
        board.lifecycle = self.life.phase;
        board.lifecycle_failure = self.life.failure.clone();
        board.active = place(self.active(), slots.slot);
        board.standby = place(self.standby(), slots.slot.other());
        board.probation = self.view_probation();
        board.snapshots = self.snapshots.as_ref().map(Snapshots::status);
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
