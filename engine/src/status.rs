//! The status: what is loaded, who is inside, and what has happened.
//!
//! The fields are relied upon by other programs (`liveswap status --json`).

mod work;

use std::path::PathBuf;
use std::sync::Arc;

use liveswap_state::MethodSpec;
use serde::Serialize;

pub use crate::call::suspicion::Suspicion;
use crate::call::{CallPath, Footprint, Hold, Holding};
use crate::candidate::VersionNumber;
pub use crate::config::ConfigFailure;
use crate::control::{Progress, RetiredView, Serial};
use crate::host;
use crate::lifecycle::LifecyclePhase;
use crate::modules::Declared;
use crate::probation::view::ProbationView;
pub use crate::probation::view::{MethodHealth, ProbationStatus, VerdictStatus};
use crate::registry::Exports;
use crate::sets::SetStatus;
pub use work::{LaneStatus, LanesStatus, TickStatus, WorkStatus};

/// All modules of an engine.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// In the order in which they were declared.
    pub modules: Vec<ModuleStatus>,
    /// In the order in which they were declared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<SetStatus>,
    /// Candidates that would have made modules and weren't taken, as long as something keeps them in memory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedStatus>,
    /// What is wrong in the watched folders, sorted by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FolderFault>,
    /// What became of the lines of the audit log; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditStatus>,
    /// The configuration's file; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
}

/// A version of a module that there isn't.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RefusedStatus {
    /// The module that it would have made.
    pub module: String,
    /// What keeps it in memory.
    #[serde(flatten)]
    pub version: RetiredStatus,
}

/// The file that the modules' options are read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigStatus {
    /// The file.
    pub file: PathBuf,
    /// Why it wasn't taken over when it was read last; left out if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ConfigFailure>,
}

/// What became of a module's options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OptionsStatus {
    /// How often they have changed since the engine started.
    pub changes: u64,
    /// Why the options before are still in force; left out if they aren't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ConfigFailure>,
}

/// A file in a watched folder that was refused, or a folder there that can't be looked through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FolderFault {
    /// Where it is.
    pub path: PathBuf,
    /// The error's code.
    pub code: &'static str,
    /// The error's message.
    pub message: String,
}

/// What became of the lines of the audit log since the engine started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditStatus {
    /// How many were written.
    pub lines: u64,
    /// How many could not be, and are missing.
    pub failures: u64,
    /// Why the last one that is missing is.
    pub last_failure: Option<String>,
}

/// One module.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ModuleStatus {
    /// The module's name.
    pub name: String,
    /// The [factory](crate::Builder::factory) that it's an instance of; left out if it's of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory: Option<String>,
    /// `empty`, `serving`, `probation`, `verifying`, `rehearsing`, `loading`, `preparing`, `yielding`, `checking`,
    /// `handing-over`, `initializing` or `stopped`.
    pub phase: &'static str,
    /// How far the module is in its life: `registered`, `initialized`, `started` or `stopped`.
    pub lifecycle: LifecyclePhase,
    /// Why it isn't further, if that has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle_failure: Option<String>,
    /// The version that calls enter.
    pub active: Option<SlotStatus>,
    /// The predecessor, loaded and ready to take over again.
    pub standby: Option<SlotStatus>,
    /// Versions that have left their slots, the oldest first. Of those that are unmapped, the last few.
    pub retired: Vec<RetiredStatus>,
    /// How often what has happened, since the engine started.
    pub swaps: SwapCounts,
    /// The latest publish.
    pub last_swap: Option<Swap>,
    /// What is known of a version whose probation has a policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probation: Option<ProbationStatus>,
    /// The latest end of a probation, or rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_verdict: Option<VerdictStatus>,
    /// The latest migration of the state, under way or done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationStatus>,
    /// What became of snapshots; left out if none are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotStatus>,
    /// The exclusive call that has panicked, and may have left the state half changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Suspicion>,
    /// What became of the module's options.
    pub options: OptionsStatus,
    /// What it does in the background.
    pub work: WorkStatus,
}

/// A migration of the state.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// From which version of the state's schema.
    pub from_schema: u32,
    /// To which.
    pub to_schema: u32,
    /// How far it is.
    pub stage: MigrationStage,
    /// How many shards of large collections there are to go through in this stage.
    pub shards: u64,
    /// How many of them are done.
    pub done: u64,
    /// How often it was tried to have no call in the state for a moment.
    pub attempts: u32,
    /// Who was in the way the last time.
    pub waits_for: Vec<Holder>,
    /// For how long the hand-over has held calls up, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_us: Option<u64>,
    /// Why it is stuck, or didn't happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a migration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MigrationStage {
    /// It's being tried on copies. Calls go on.
    Checking,
    /// It waits for a moment without a call in the state.
    HandingOver,
    /// The new version serves, and what no call has used yet is being migrated.
    Sweeping,
    /// A part of the state can't be migrated, and calls that need it fail.
    Stuck,
    /// All of the state is migrated.
    Done,
    /// It didn't happen: the state is as it was.
    Failed,
}

/// What became of a module's snapshots.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// How many were taken since the engine started.
    pub taken: u64,
    /// How many could not be.
    pub failed: u64,
    /// Whether one is being taken.
    pub under_way: bool,
    /// The last one.
    pub last: Option<SnapshotTaken>,
    /// Why the last one that failed did.
    pub last_failure: Option<String>,
    /// The snapshot that the state was last made of.
    pub restored_from: Option<PathBuf>,
    /// The newer ones that couldn't be used, each with the reason. They are left where they are.
    pub passed_over: Vec<String>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SnapshotTaken {
    /// Its file.
    pub path: PathBuf,
    /// The file's length.
    pub bytes: u64,
    /// The moment that it shows, in milliseconds since 1970.
    pub taken_at_ms: u64,
    /// How long it took to write, in microseconds.
    pub took_us: u64,
    /// For how long it has held calls up, in microseconds.
    pub pause_us: u64,
}

/// A version in a slot.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SlotStatus {
    /// `A` or `B`.
    pub slot: &'static str,
    /// The version.
    pub version: VersionNumber,
    /// The schema version of the state it works on.
    pub state_schema: u32,
    /// Where it's from.
    pub origin: Origin,
    /// How many threads are inside, in a call. Who leases the version isn't counted.
    pub in_flight: usize,
    /// The threads that are inside, who leases it, and the threads that it has started.
    pub holders: Vec<Holder>,
    /// The bytes that this version's code has allocated and that are still in use. Left out unless the host
    /// has installed a [`CountingAllocator`](crate::CountingAllocator).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_bytes: Option<usize>,
}

/// Where a version is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Origin {
    /// It's a library that was plugged in.
    Library,
    /// It's [built into the host](crate::Builder::built_in): it's never unmapped.
    BuiltIn,
}

/// A version that has left its slot.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RetiredStatus {
    /// The version.
    pub version: VersionNumber,
    /// `draining`: calls are inside, a hook of it runs, or it is about to be unmapped. `retained`: no call is inside, and something
    /// keeps it in memory all the same. `unmapped`: the kernel's map shows none of its code. `built-in`: no call is inside,
    /// and it stays, because it's part of the host.
    pub state: &'static str,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Why it is retained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The bytes that this version's code has allocated and that are still in use, or were when it was
    /// unmapped: what it handed over to the state and to callers, and what its statics leaked. Left out unless
    /// the host has installed a [`CountingAllocator`](crate::CountingAllocator).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_bytes: Option<usize>,
}

/// Who holds a version: a thread, or a lease.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// What the host calls it: the name of a lease, or of a [named call](crate::Module::call_named). Left out of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The thread's name, as the kernel has it: its first 15 bytes. Empty for a lease.
    pub thread: String,
    /// The kernel's number for it; 0 for a lease.
    pub thread_id: i32,
    /// How it holds the version. `call`: it is inside. `destructors`: a call on it has left something, such as a
    /// thread-local, whose destructor it runs at its next call of the engine or at its end. `thread`: the version
    /// has started it. `hook`: it runs a hook of the version's. `lease`: no thread does, but a [lease](crate::Lease).
    pub holds_by: &'static str,
    /// The method or the hook that it is in; none between two calls of one guard, and for `destructors`, `thread` and `lease`.
    pub method: Option<&'static str>,
    /// For how long, in milliseconds. For a call at least: counted from when somebody first looked, which a publish
    /// does.
    pub age_ms: u64,
}

/// How often what has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SwapCounts {
    /// Upgrades whose probation ended well.
    pub committed: u64,
    /// Returns to a predecessor.
    pub rolled_back: u64,
    /// Those of them that nobody asked for.
    pub rolled_back_by_health: u64,
    /// Pushes that ended without a publish, as far as the candidate's name or manifest told which module
    /// they were for.
    pub refused: u64,
}

/// A publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Swap {
    /// The version that was active before; none for the first.
    pub from: Option<VersionNumber>,
    /// The version that is active since.
    pub to: VersionNumber,
    /// How long each step took.
    pub stages_us: Stages,
    /// The veto of the version before that was overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
}

/// How long each step of a swap took, in microseconds. Steps that weren't needed are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stages {
    /// Copying and hashing the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<u64>,
    /// Reading and comparing its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<u64>,
    /// Trying it in a process of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearse: Option<u64>,
    /// Mapping and binding it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<u64>,
    /// Its own preparation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<u64>,
    /// Asking the version that serves to hand over.
    #[serde(rename = "yield", skip_serializing_if = "Option::is_none")]
    pub yielding: Option<u64>,
    /// Trying the migration of the state on copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<u64>,
    /// Finding a moment without a call in the state, and migrating it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<u64>,
    /// Publishing it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<u64>,
}

/// What the control thread writes down for whoever asks, so that a status never waits for a swap.
#[derive(Debug, Default)]
pub(crate) struct Board {
    pub(crate) phase: &'static str,
    pub(crate) lifecycle: LifecyclePhase,
    pub(crate) lifecycle_failure: Option<String>,
    pub(crate) active: Option<Placed>,
    pub(crate) standby: Option<Placed>,
    pub(crate) swaps: SwapCounts,
    pub(crate) last_swap: Option<Swap>,
    pub(crate) probation: Option<ProbationView>,
    pub(crate) last_verdict: Option<VerdictStatus>,
    pub(crate) migration: Option<Arc<Progress>>,
    pub(crate) snapshots: Option<SnapshotStatus>,
    pub(crate) options: OptionsStatus,
}

/// A version in a slot, without who is inside.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) slot: &'static str,
    pub(crate) serial: Serial,
    pub(crate) version: VersionNumber,
    pub(crate) state_schema: u32,
    pub(crate) origin: Origin,
    pub(crate) exports: Arc<Exports>,
}

impl ModuleStatus {
    pub(crate) fn new(
        Declared { path, factory, .. }: &Declared,
        board: &Board,
        retired: &[RetiredView],
        work: WorkStatus,
    ) -> Self {
        let placed = |placed: &Option<Placed>| placed.as_ref().map(|placed| SlotStatus::new(path, placed));
        Self {
            name: path.module.clone(),
            factory: factory.clone(),
            phase: board.phase,
            lifecycle: board.lifecycle,
            lifecycle_failure: board.lifecycle_failure.clone(),
            active: placed(&board.active),
            standby: placed(&board.standby),
            retired: retired
                .iter()
                .filter(|retired| Arc::ptr_eq(&retired.path, path))
                .map(|retired| RetiredStatus::new(path.methods, retired))
                .collect(),
            swaps: board.swaps,
            last_swap: board.last_swap.clone(),
            probation: board.probation.as_ref().map(ProbationView::status),
            last_verdict: board.last_verdict.clone(),
            migration: board.migration.as_ref().map(|progress| progress.status()),
            snapshots: board.snapshots.clone(),
            suspect: path.suspicions.current(),
            options: board.options.clone(),
            work,
        }
    }
}

impl RetiredStatus {
    fn new(methods: &'static [MethodSpec], retired: &RetiredView) -> Self {
        Self {
            version: retired.version.clone(),
            state: retired.state,
            holders: describe(methods, retired.holders.clone()),
            reason: retired.reason.clone(),
            live_bytes: retired.live_bytes,
        }
    }
}

impl RefusedStatus {
    /// Nobody has called it, so it needs no methods' names.
    pub(crate) fn new(retired: &RetiredView) -> Self {
        Self { module: retired.path.module.clone(), version: RetiredStatus::new(&[], retired) }
    }
}

impl SlotStatus {
    fn new(path: &CallPath, placed: &Placed) -> Self {
        let calls = path.holders(placed.serial.0);
        let in_flight = calls.iter().filter(|holding| holding.hold != Hold::Lease).count();
        let footprint = Footprint::find(placed.serial.0);
        let mut held = footprint.map_or_else(Vec::new, |footprint| footprint.holders());
        // What a thread will settle by itself is nobody's concern as long as the version is in use.
        held.retain(|holding| holding.hold != Hold::Destructors);
        Self {
            slot: placed.slot,
            version: placed.version.clone(),
            state_schema: placed.state_schema,
            origin: placed.origin,
            in_flight,
            holders: describe(path.methods, calls.into_iter().chain(held)),
            live_bytes: host::live_bytes(placed.serial.0),
        }
    }
}

pub(crate) fn describe(
    methods: &'static [MethodSpec],
    holdings: impl IntoIterator<Item = Holding>,
) -> Vec<Holder> {
    let describe = |Holding { label, thread, thread_id, hold, age }| {
        let (holds_by, method) = match hold {
            Hold::Call(method) => {
                let method = method.and_then(|method: usize| methods.get(method));
                ("call", method.map(|method| method.name))
            }
            Hold::Destructors => ("destructors", None),
            Hold::Thread => ("thread", None),
            Hold::Lease => ("lease", None),
            Hold::Hook(hook) | Hold::Awaited(hook) => ("hook", Some(hook)),
        };
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Holder { label: label.as_deref().map(str::to_owned), thread, thread_id, holds_by, method, age_ms }
    };
    holdings.into_iter().map(describe).collect()
}
