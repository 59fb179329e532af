//! The engine: what a host builds, keeps, and asks.

use std::any::TypeId;
#[cfg(feature = "network")]
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use liveswap_state::Interface;
use serde::Serialize;

use crate::builder::Builder;
use crate::candidate::VersionNumber;
use crate::config::Config;
use crate::control::{
    Allowed, Asker, Audit, Candidate, Control, Faults, Mailbox, PushRequest, Reaper, Recovery, RetiredView,
};
use crate::error::{
    CommitError, ModuleError, PushError, RecoverError, ReloadError, RollbackError, TakeError,
};
use crate::lifecycle::LifecyclePhase;
use crate::lock::lock;
use crate::module::Module;
use crate::modules::{Declared, Modules};
use crate::registry::Registry;
use crate::rehearsal::Rehearsed;
use crate::sets::{SetPushed, SetStatus};
use crate::status::{ConfigStatus, FolderFault, ModuleStatus, RefusedStatus, SnapshotTaken, Status, Swap};
#[cfg(feature = "signals")]
use crate::trigger::end::EndSignal;

/// The host side of liveswap: loads versions, swaps them under running calls, and unmaps the old ones.
///
/// It is made with [`Engine::builder`]. Dropping it ends it: the modules that have started are stopped in the reverse
/// order, no more calls enter, those in flight are waited for (up to [`Builder::drain_deadline`]), the state is dropped,
/// the libraries leave memory.
///
/// All of its methods may be called from any thread.
pub struct Engine {
    /// Dropped first: triggers must not come any more when control ends.
    pub(crate) triggers: Vec<Box<dyn Trigger>>,
    pub(crate) core: Arc<Core>,
    _control: StopOnDrop,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let triggers = &self.triggers;
        formatter
            .debug_struct("Engine")
            .field("core", &self.core)
            .field("triggers", triggers)
            .finish_non_exhaustive()
    }
}

/// Something that pushes by itself until it is dropped: a watcher, a signal handler, the admin API.
pub(crate) trait Trigger: Send + Sync + std::fmt::Debug {
    /// Where it listens on the network, if it does.
    #[cfg(feature = "network")]
    fn network_address(&self) -> Option<SocketAddr> {
        None
    }

    /// Waits until it's asked to end the host, if it can be.
    #[cfg(feature = "signals")]
    fn wait_for_end(&self) -> Option<EndSignal> {
        None
    }
}

struct StopOnDrop(Control);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What the engine's own threads and its handles share.
pub(crate) struct Core {
    pub(crate) modules: Arc<Modules>,
    pub(crate) sets: Vec<Arc<Mutex<SetStatus>>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) reaper: Arc<Reaper>,
    pub(crate) audit: Audit,
    pub(crate) faults: Arc<Faults>,
    pub(crate) config: Arc<Config>,
    /// The most bytes that a candidate may have.
    #[cfg_attr(not(feature = "admin"), expect(dead_code, reason = "only the admin server asks"))]
    pub(crate) candidate_size_max: u64,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Core").field("modules", &self.modules.known()).finish_non_exhaustive()
    }
}

/// A push: which candidate, and what is allowed.
///
/// ```no_run
/// # fn example(engine: liveswap::Engine) -> Result<(), Box<dyn std::error::Error>> {
/// use liveswap::Push;
///
/// engine.push("candidates/logic.v1002.so")?;
/// engine.push(Push::file("candidates/logic.v1001.so").allow_older())?;
/// # Ok(())
/// # }
/// ```
pub struct Push(PushRequest);

impl Push {
    /// A candidate in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of(Candidate::File(path.into()))
    }

    /// A candidate in memory. `name` is its file's name, such as `logic.v1002.so`; if it is made like a
    /// candidate's name, it must agree with the manifest.
    pub fn content(name: impl Into<String>, content: Vec<u8>) -> Self {
        Self::of(Candidate::Memory { name: name.into(), content })
    }

    fn of(candidate: Candidate) -> Self {
        Self(PushRequest { candidate, signature: None, allowed: Allowed::default(), asker: Asker::Host })
    }

    /// Signed: `signature` is the content of the file that `minisign -S` writes. Without this, a candidate in a file has
    /// the signature that lies beside it, if there is one.
    pub fn signed(mut self, signature: impl Into<String>) -> Self {
        self.0.signature = Some(signature.into());
        self
    }

    pub(crate) fn into_request(self) -> PushRequest {
        self.0
    }

    /// Says who asks, if it isn't the host itself.
    #[cfg(feature = "admin")]
    pub(crate) fn asked_by(mut self, asker: Asker) -> Self {
        self.0.asker = asker;
        self
    }

    /// Allows a version that is older than the active one.
    pub fn allow_older(mut self) -> Self {
        self.0.allowed.older = true;
        self
    }

    /// Has the version that serves replaced even if it vetoes that, or gives no answer. The record of the swap says so.
    pub fn force(mut self) -> Self {
        self.0.allowed.forced = true;
        self
    }

    /// Allows an upgrade that turns the state into what can't be turned back: there is no rollback from it.
    pub fn allow_one_way(mut self) -> Self {
        self.0.allowed.one_way = true;
        self
    }

    /// Has the candidate [rehearsed](crate::Rehearsal), or not, whatever the host's default is for the road that it
    /// comes over.
    pub fn rehearse(mut self, is_rehearsed: bool) -> Self {
        self.0.allowed.rehearsal = Some(is_rehearsed);
        self
    }
}

impl<P: Into<PathBuf>> From<P> for Push {
    fn from(path: P) -> Self {
        Self::file(path)
    }
}

impl std::fmt::Debug for Push {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (candidate, allowed) = (self.0.candidate.name(), &self.0.allowed);
        formatter.debug_struct("Push").field("candidate", &candidate).field("allowed", allowed).finish()
    }
}

/// How a push that wasn't refused ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one to a push, and it's taken apart at once")]
pub enum PushOutcome {
    /// The candidate is the active version now.
    Published(Published),
    /// The candidate is the active version of all instances of a [factory](crate::Builder::factory) now. The set's name is
    /// the factory's.
    Set(SetPushed),
    /// The candidate's very bytes were active already; nothing has happened.
    Unchanged {
        /// The module.
        module: String,
        /// Its active version.
        version: VersionNumber,
    },
    /// The candidate is kept until its module is initialized, which the host does
    /// [by hand](crate::Builder::start_by_hand); or until the factory of this name has an instance.
    Waiting {
        /// The module.
        module: String,
        /// The candidate's version.
        version: VersionNumber,
    },
}

/// A publish that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Published {
    /// The module.
    pub module: String,
    /// From which version to which, and how long it took.
    #[serde(flatten)]
    pub swap: Swap,
    /// The version whose probation this push ended early: its predecessor can't be returned to at once
    /// any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<VersionNumber>,
    /// What became of the state, if it has another shape now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrated: Option<Migrated>,
    /// How its rehearsal has ended, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsed>,
    /// The set that was swapped with it as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
}

/// The state has become one of another shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Migrated {
    /// From which version of its schema.
    pub from_schema: u32,
    /// To which.
    pub to_schema: u32,
    /// How often it was tried to have no call in the state for a moment.
    pub attempts: u32,
    /// For how long that moment has held calls up, in microseconds.
    pub pause_us: u64,
    /// How many shards of large collections are migrated since, by the calls that use them or in the background.
    pub shards: u64,
}

impl Engine {
    /// Begins an engine.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(core: Arc<Core>, control: Control) -> Self {
        Self { triggers: Vec::new(), core, _control: StopOnDrop(control) }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn add(&mut self, trigger: Box<dyn Trigger>) {
        self.triggers.push(trigger);
    }

    /// The handle through which the module is called. Cheap to clone, and independent of the engine's
    /// life: once the engine is gone, its calls answer `NoActiveVersion`.
    ///
    /// # Errors
    ///
    /// If there is no such module, or it was declared with another interface.
    pub fn module<I: Interface + ?Sized>(&self, name: &str) -> Result<Module<I>, ModuleError> {
        let Some(declared) = self.core.modules.find(name) else {
            return Err(ModuleError::Unknown { module: name.to_owned(), known: self.core.modules.known() });
        };
        if declared.interface_type != TypeId::of::<I>() {
            let (found, expected) = (I::NAME, declared.interface);
            return Err(ModuleError::OtherInterface { module: name.to_owned(), found, expected });
        }
        Ok(Module::new(declared.path.clone()))
    }

    /// The handles of all modules with this interface, sorted by name: those that were declared, and those that were
    /// [found](Builder::modules_from) until now.
    pub fn modules<I: Interface + ?Sized>(&self) -> Vec<Module<I>> {
        let list = self.core.modules.list();
        let offering = list.all().filter(|module| module.interface_type == TypeId::of::<I>());
        let mut modules: Vec<_> = offering.map(|module| Module::new(module.path.clone())).collect();
        modules.sort_by(|one, other| one.name().cmp(other.name()));
        modules
    }

    /// Pushes a candidate: verifies, loads, prepares and publishes it. Returns when it serves.
    ///
    /// # Errors
    ///
    /// Why it was refused. The active version is as it was.
    pub fn push(&self, push: impl Into<Push>) -> Result<PushOutcome, PushError> {
        self.core.push(push.into())
    }

    /// Returns to the predecessor of the module's active version: at once while that is in the other slot,
    /// else by loading its kept file again. The candidate's own file isn't needed.
    ///
    /// # Errors
    ///
    /// If there is nothing to return to, or it can't be loaded again.
    pub fn rollback(&self, module: &str) -> Result<Published, RollbackError> {
        self.core.mailbox.rollback(module.to_owned(), Asker::Host)
    }

    /// Ends the probation of the module's active version: its predecessor is drained and unmapped. Returns
    /// the version that stays.
    ///
    /// # Errors
    ///
    /// If no version is on probation.
    pub fn commit(&self, module: &str) -> Result<VersionNumber, CommitError> {
        self.core.mailbox.commit(module.to_owned(), Asker::Host)
    }

    /// Takes a snapshot of the module's state, and returns when it's on the disk. Calls go on.
    ///
    /// # Errors
    ///
    /// If the host keeps no [snapshots](crate::Builder::snapshots), or it couldn't be taken.
    pub fn snapshot(&self, module: &str) -> Result<SnapshotTaken, TakeError> {
        self.core.mailbox.snapshot(module.to_owned(), Asker::Host)
    }

    /// Has the last snapshot that is intact take the place of the module's state. What has happened since is lost.
    ///
    /// # Errors
    ///
    /// If there is no such snapshot, or the active version can't begin with it. The state is as it was.
    pub fn restore(&self, module: &str) -> Result<(), RecoverError> {
        self.core.mailbox.recover(module.to_owned(), Recovery::Restore, Asker::Host)
    }

    /// Lets calls back to a state that a panic may have left half changed, as it is.
    ///
    /// # Errors
    ///
    /// If the state isn't suspect.
    pub fn trust(&self, module: &str) -> Result<(), RecoverError> {
        self.core.mailbox.recover(module.to_owned(), Recovery::Trust, Asker::Host)
    }

    /// Looks through the watched folders for versions newer than the active ones, and waits until that is
    /// done. The watcher makes this unnecessary, except where a file system doesn't report changes.
    ///
    /// Returns all that is wrong in the watched folders, sorted by path: one bad file keeps no other from being taken. What
    /// was refused before and still lies there is in the list too.
    pub fn rescan(&self) -> Vec<FolderFault> {
        self.core.mailbox.rescan_and_wait();
        self.core.faults.list()
    }

    /// Reads the [configuration](crate::Builder::config) and the environment again, and has each module told whose options
    /// are others now. Returns the names of these. The watched file makes this unnecessary, except where a file system
    /// doesn't report changes.
    ///
    /// # Errors
    ///
    /// If it can't be read, and then nothing has changed; or if modules don't take their options. These keep what they
    /// had, and it's tried again the next time.
    pub fn reload_config(&self) -> Result<Vec<String>, ReloadError> {
        self.core.mailbox.reload_and_wait(Asker::Host)
    }

    /// Where the admin API is served over the network, if it is; with the port that the system has chosen, if it was
    /// asked to.
    #[cfg(feature = "network")]
    pub fn network_address(&self) -> Option<SocketAddr> {
        self.triggers.iter().find_map(|trigger| trigger.network_address())
    }

    /// Which modules there are, in which versions, and what those export, all sorted by name. Doesn't wait for a swap under
    /// way.
    pub fn registry(&self) -> Registry {
        Registry::of(&self.core.modules)
    }

    /// What is loaded, who is inside, and what has happened. Doesn't wait for a swap under way.
    pub fn status(&self) -> Status {
        self.core.status()
    }
}

impl Core {
    pub(crate) fn push(&self, push: Push) -> Result<PushOutcome, PushError> {
        self.mailbox.push(push.0)
    }

    /// How far a module is, if there is one of that name.
    pub(crate) fn lifecycle(&self, name: &str) -> Option<LifecyclePhase> {
        self.modules.find(name).map(|module| lock(&module.board).lifecycle)
    }

    pub(crate) fn status(&self) -> Status {
        let retired = self.reaper.view();
        let status = |module: &Declared| {
            let work = module.work.status();
            ModuleStatus::new(module, &lock(&module.board), &retired, work)
        };
        let listed = self.modules.list();
        let modules = listed.all().map(status).collect();
        let is_of_none =
            |retired: &&RetiredView| !listed.all().any(|it| Arc::ptr_eq(&it.path, &retired.path));
        let refused = retired.iter().filter(is_of_none).map(RefusedStatus::new).collect();
        let file = self.config.file().map(Path::to_owned);
        let config = file.map(|file| ConfigStatus { file, failure: self.config.failure() });
        let sets = self.sets.iter().map(|board| lock(board).clone()).collect();
        Status { modules, sets, refused, faults: self.faults.list(), audit: self.audit.status(), config }
    }
}
