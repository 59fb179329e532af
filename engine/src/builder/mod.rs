//! Building an engine.

mod audit;
mod built_in;
mod config;
mod events;
mod factories;
mod lifecycle;
mod maker;
#[cfg(feature = "network")]
mod network;
mod openings;
mod output;
mod pools;
mod probation;
mod registration;
mod rehearse;
mod sets;
mod signatures;
mod snapshots;
mod timers;

use std::any::TypeId;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use liveswap_state::manifest::is_name;
use liveswap_state::{BuiltIn, Interface, MethodSpec, Spawner};

use crate::call::suspicion::SuspectPolicy;
use crate::call::{Bell, CallPath};
use crate::candidate::accept::CANDIDATE_SIZE_MAX;
use crate::candidate::private::PrivateFolder;
use crate::config::Config;
#[cfg(doc)]
use crate::control::SwapStep;
use crate::control::{
    Audit, Authority, Control, Controlled, Events, Faults, LifecycleSettings, Moment, Observer, Opening,
    Openings, Reaper, Settings, Vetoes,
};
use crate::engine::{Core, Engine, Trigger};
use crate::error::BuildError;
use crate::host::hook::Hooks;
use crate::host::output::Outputs;
use crate::rehearsal::Rehearsal;
use crate::spawn::{self, Bounds, Jobs, Work};
pub(crate) use maker::Maker;
use openings::MODULES_MAX;
pub use pools::Pool;
use pools::Pools;
use probation::Policies;
pub use registration::Registration;
use snapshots::SnapshotSettings;
use timers::Ticks;

/// What an engine is to be like.
///
/// ```no_run
/// # #[liveswap_state::interface]
/// # pub trait Game { fn hello(&self, who: &str) -> String; }
/// # fn main() -> Result<(), liveswap::BuildError> {
/// let engine = liveswap::Engine::builder()
///     .module::<dyn Game>("logic")
///     .watch("modules")
///     .admin("admin.sock")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "an engine starts with `build`"]
pub struct Builder {
    modules: Vec<Declaration>,
    factories: Vec<Declaration>,
    sets: Vec<sets::SetDeclaration>,
    starts_by_hand: bool,
    openings: Vec<Opening>,
    built_ins: Vec<BuiltIn>,
    modules_max: usize,
    private_folder: Option<PathBuf>,
    watched: Vec<PathBuf>,
    triggers: Vec<StartTrigger>,
    candidate_size_max: u64,
    authority: Authority,
    retained_max: usize,
    kept_max: usize,
    drain_deadline: Duration,
    pause_max: Duration,
    hand_over_deadline: Duration,
    sweep_deadline: Duration,
    hook_deadline: Duration,
    vetoes: Vetoes,
    observer: Observer,
    events: Events,
    suspect_policy: SuspectPolicy,
    snapshots: Option<SnapshotSettings>,
    policies: Policies,
    rehearsal: Option<Rehearsal>,
    spawned_running_max: usize,
    spawned_waiting_max: usize,
    pools: Pools,
    ticks: Ticks,
    output: Outputs,
    audit_log: Option<PathBuf>,
    config: Config,
}

/// Starts a trigger, once there is something for it to reach.
type StartTrigger = Box<dyn FnOnce(&Arc<Core>) -> Result<Box<dyn Trigger>, BuildError> + Send>;

/// A module that is to be, or a factory, with what only its interface's type knows.
#[derive(Clone)]
pub(crate) struct Declaration {
    name: String,
    interface: &'static str,
    interface_type: TypeId,
    methods: &'static [MethodSpec],
    spawner: fn(Arc<CallPath>, Arc<Work>) -> Arc<dyn Spawner>,
    /// The names of the modules that it requires.
    required: Vec<String>,
    /// The factory that it's an instance of.
    factory: Option<String>,
}

impl Declaration {
    fn of<I: Interface + ?Sized>(name: String) -> Self {
        Self {
            name,
            interface: I::NAME,
            interface_type: TypeId::of::<I>(),
            methods: I::METHODS,
            spawner: spawn::spawner::<I>,
            required: Vec::new(),
            factory: None,
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let modules: Vec<_> = self.modules.iter().map(|module| &module.name).collect();
        formatter.debug_struct("Builder").field("modules", &modules).finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            modules: Vec::new(),
            factories: Vec::new(),
            sets: Vec::new(),
            starts_by_hand: false,
            openings: Vec::new(),
            built_ins: Vec::new(),
            modules_max: MODULES_MAX,
            private_folder: None,
            watched: Vec::new(),
            triggers: Vec::new(),
            candidate_size_max: CANDIDATE_SIZE_MAX,
            authority: Authority::default(),
            retained_max: 8,
            kept_max: 2,
            drain_deadline: Duration::from_secs(10),
            pause_max: Duration::from_millis(1),
            hand_over_deadline: Duration::from_secs(30),
            sweep_deadline: Duration::from_secs(60),
            hook_deadline: Duration::from_secs(10),
            vetoes: Vetoes { max: 5, pause: Duration::from_millis(100) },
            observer: Observer::default(),
            events: Events::default(),
            suspect_policy: SuspectPolicy::default(),
            snapshots: None,
            policies: Policies::default(),
            rehearsal: None,
            spawned_running_max: 64,
            spawned_waiting_max: 1024,
            pools: Pools::default(),
            ticks: Ticks::default(),
            output: Outputs::default(),
            audit_log: None,
            config: Config::default(),
        }
    }

    /// Declares a module, by the interface through which it is called. Its name is the one in its
    /// manifest, and the start of its files' names. Short for one that requires no other; see
    /// [`register`](Self::register).
    pub fn module<I: Interface + ?Sized>(mut self, name: impl Into<String>) -> Self {
        self.modules.push(Declaration::of::<I>(name.into()));
        self
    }

    /// Watches a folder: a candidate that is copied or moved there, or into a folder in it, is pushed. The folder is made
    /// if it is missing, and looked through at the start, eight folders deep. Nothing is loaded from a folder that every
    /// user may write to, and no link is followed out of the folder.
    ///
    /// What is refused is logged, and listed in the [status](crate::Status::faults) with its path.
    #[cfg(feature = "watch")]
    pub fn watch(mut self, folder: impl Into<PathBuf>) -> Self {
        // Absolute, because the process may go to another folder later. It fails for an empty path only,
        // which then fails to be watched.
        let folder = folder.into();
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        self.watched.push(folder.clone());
        self.trigger(move |core| {
            let watcher = crate::trigger::watch::Watcher::start(&folder, core.mailbox.clone());
            Ok(Box::new(watcher.map_err(system(&format!("watch {}", folder.display())))?))
        })
    }

    /// Serves the admin API on a Unix socket of mode 0600, for the `liveswap` command. A socket that an
    /// earlier process left there is replaced.
    #[cfg(feature = "admin")]
    pub fn admin(self, socket: impl Into<PathBuf>) -> Self {
        let socket = socket.into();
        self.trigger(move |core| {
            let server = crate::admin::Server::start(&socket, core.clone(), core.candidate_size_max);
            Ok(Box::new(server.map_err(system(&format!("serve {}", socket.display())))?))
        })
    }

    /// Looks through the watched folders at each SIGHUP, and reads the [configuration](Self::config) again.
    #[cfg(feature = "signals")]
    pub fn rescan_on_hangup(self) -> Self {
        self.trigger(|core| {
            let hangup = crate::trigger::hangup::Hangup::start(core.mailbox.clone());
            Ok(Box::new(hangup.map_err(system("listen for SIGHUP"))?))
        })
    }

    #[cfg(any(feature = "watch", feature = "admin", feature = "signals"))]
    fn trigger(
        mut self,
        start: impl FnOnce(&Arc<Core>) -> Result<Box<dyn Trigger>, BuildError> + Send + 'static,
    ) -> Self {
        self.triggers.push(Box::new(start));
        self
    }

    /// Where the private copies of the versions are kept. The engine makes the folder its own (0700), locks
    /// it, and removes what an earlier engine left. Its file system must allow execution. Without it, a
    /// temporary folder is made.
    ///
    /// What is kept there for the next start is loaded without a signature. So [`build`](Self::build) fails
    /// with [`BuildError::System`] if the folder belongs to another user than the process's own or root, or
    /// if others may write to it or to a folder on the way to it. A folder above may have the sticky bit, as
    /// `/tmp` has it.
    pub fn private_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.private_folder = Some(folder.into());
        self
    }

    /// The most bytes that a candidate may have. 256 MiB, unless set.
    pub fn candidate_size_max(mut self, bytes: u64) -> Self {
        self.candidate_size_max = bytes;
        self
    }

    /// How many versions may be in memory after they left their slots. A push beyond that is refused. 8,
    /// unless set.
    pub fn retained_max(mut self, versions: usize) -> Self {
        self.retained_max = versions;
        self
    }

    /// How many predecessors a module can return to, one rollback after the other. Their files are kept.
    /// 2, unless set.
    pub fn kept_max(mut self, versions: usize) -> Self {
        self.kept_max = versions;
        self
    }

    /// After which time a retired version that is still held is reported; and how long the end of the engine waits
    /// for calls, for hooks and for threads of logic. (For threads that only have destructors to run it waits a tenth
    /// of a second at most.) Nothing is ever unmapped under anybody. 10 seconds, unless set.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// How long calls may be held up at once when the state is handed over to a version that keeps it in another shape,
    /// and when a snapshot begins. If a call is in the state for longer, they go on, and it's tried again after ten times
    /// as long. 1 ms, unless set.
    ///
    /// This bounds how long the engine waits. What comes on top is the migration of the state itself, without its
    /// [`Sharded`](liveswap_state::Sharded) collections, and what the system takes to wake threads.
    pub fn pause_max(mut self, pause: Duration) -> Self {
        self.pause_max = pause;
        self
    }

    /// For how long that is tried before the push, or the snapshot, is given up. 30 seconds, unless set.
    pub fn hand_over_deadline(mut self, deadline: Duration) -> Self {
        self.hand_over_deadline = deadline;
        self
    }

    /// How long the sweep after a migration may take before the log says so, and how long the next migration waits
    /// for it. It isn't given up. 60 seconds, unless set.
    pub fn sweep_deadline(mut self, deadline: Duration) -> Self {
        self.sweep_deadline = deadline;
        self
    }

    /// How long a hook of logic that a swap waits for may take, its constructors, and the migration of a copy of each
    /// shard. One that takes longer has failed, and the push with it; its thread, `liveswap-hook`, holds its version
    /// until it returns. 10 seconds, unless set.
    pub fn hook_deadline(mut self, deadline: Duration) -> Self {
        self.hook_deadline = deadline;
        self
    }

    /// How many vetoes of the version that serves ([`Logic::prepare_to_yield`](liveswap_state::Logic::prepare_to_yield))
    /// end a push, and how long the wait is after the first one; each is twice as long as the one before. No other push
    /// is taken meanwhile. 5, and 100 ms, unless set.
    pub fn vetoes_max(mut self, vetoes: NonZeroU32, pause: Duration) -> Self {
        self.vetoes = Vetoes { max: vetoes.get(), pause };
        self
    }

    /// Has a function called before and after each step of a swap, on the control thread. Before a step it may refuse
    /// it, with a reason, which ends the push ([`PushError::Withheld`](crate::PushError::Withheld)); what it returns
    /// after a step is logged only. A publish can't be refused: the step before it is the last that can.
    ///
    /// It should return soon: nothing else is swapped meanwhile, and between [`SwapStep::HandOver`] and
    /// [`SwapStep::Publish`] calls may be waiting.
    pub fn on_step(
        mut self,
        function: impl Fn(&Moment) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.observer = Observer::new(function);
        self
    }

    /// What is done when an exclusive call has panicked, which may have left the state half changed:
    /// [`SuspectPolicy::Continue`], unless set.
    pub fn on_suspect(mut self, policy: SuspectPolicy) -> Self {
        self.suspect_policy = policy;
        self
    }

    /// Starts the engine: its threads run, and what the watched folders hold is loaded.
    ///
    /// # Errors
    ///
    /// If a declaration is wrong, or the system refuses a folder, a socket or a thread. A candidate that is
    /// refused is no error: it is logged, and the module has no active version yet.
    pub fn build(mut self) -> Result<Engine, BuildError> {
        self.check()?;
        let graph = self.graph()?;
        let names: Vec<_> = self.modules.iter().map(|module| module.name.as_str()).collect();
        self.config.grows = !self.openings.is_empty() || !self.factories.is_empty();
        let mut options = self.config.read(&names, std::env::vars_os())?;
        let config = Arc::new(std::mem::take(&mut self.config));
        let audit = Audit::open(self.audit_log.as_deref())?;
        let folder = match &self.private_folder {
            Some(path) => {
                let what = format!("take {} as the private folder", path.display());
                PrivateFolder::open(path).map_err(system(&what))
            }
            None => PrivateFolder::temporary().map_err(system("make a private folder")),
        }?;
        let bell = Arc::new(Bell::new());
        let reaper = Reaper::start(bell.clone(), self.drain_deadline);
        let reaper = Arc::new(reaper.map_err(system("start the reaper's thread"))?);
        let sets = self.make_sets(&bell);
        let (running_max, waiting_max) = (self.spawned_running_max, self.spawned_waiting_max);
        let jobs = Arc::new(Jobs::new(Bounds { running_max, waiting_max }, self.ticks.timers_max));
        let has_built_in = !self.built_ins.is_empty();
        let maker = Maker {
            bell: bell.clone(),
            reaper: reaper.clone(),
            jobs: jobs.clone(),
            modules: Arc::default(),
            suspect_policy: self.suspect_policy,
            snapshots: self.snapshots,
            policies: self.policies,
            pools: self.pools,
            built_ins: self.built_ins,
            sets,
            records: self.private_folder.is_some().then(|| folder.path().to_owned()),
            rehearsal: self.rehearsal.clone(),
        };
        let known = maker.modules.clone();
        let sets = maker.sets.iter().map(sets::Made::under_control).collect();
        let boards = maker.sets.iter().map(|set| set.board.clone()).collect();
        let made: Result<Vec<_>, BuildError> = self
            .modules
            .iter()
            .map(|module| maker.make(module, options.remove(&module.name).unwrap_or_default(), true))
            .collect();
        let (declared, modules): (Vec<_>, Vec<_>) =
            made.inspect_err(|_| reaper.stop(None))?.into_iter().unzip();
        declared.into_iter().for_each(|declared| known.add(declared));
        let (list, modules_max) = (self.openings, self.modules_max);
        let openings = Openings { list, modules_max, maker };
        let faults = Arc::<Faults>::default();
        let ((running, ended), (wake, woken)) = (bounded(0), bounded(1));
        let settings = Settings {
            folder: Arc::new(folder),
            watched: self.watched.clone(),
            candidate_size_max: self.candidate_size_max,
            authority: self.authority.clone(),
            retained_max: self.retained_max,
            kept_max: self.kept_max,
            drain_deadline: self.drain_deadline,
            pause_max: self.pause_max,
            hand_over_deadline: self.hand_over_deadline,
            sweep_deadline: self.sweep_deadline,
            hooks: Hooks::new(self.hook_deadline, {
                let wake = wake.clone();
                move || {
                    // If it's full, somebody else has woken the control thread.
                    let _ = wake.try_send(());
                }
            }),
            vetoes: self.vetoes,
            observer: self.observer,
            events: self.events,
            faults: faults.clone(),
            rehearsal: self.rehearsal.clone().unwrap_or_default(),
            output: Arc::new(self.output.clone()),
            bell,
            openings,
            config: config.clone(),
            audit: audit.clone(),
            wake,
            ended,
        };
        let controlled = Controlled { modules, sets };
        let lifecycle = LifecycleSettings { graph, starts_by_hand: self.starts_by_hand };
        let control = Control::start(controlled, lifecycle, settings, reaper.clone(), jobs, running, woken);
        let control = control.map_err(|error| {
            reaper.stop(None);
            system("start the control thread")(error)
        })?;
        let core = Arc::new(Core {
            modules: known,
            sets: boards,
            mailbox: control.mailbox.clone(),
            reaper,
            audit,
            faults,
            config,
            candidate_size_max: self.candidate_size_max,
        });
        // From here on, dropping the engine ends the threads.
        let mut engine = Engine::new(core.clone(), control);
        self.ticks.start(&core)?;
        // Watching begins before the first look, so that no file falls between the two.
        for start in self.triggers {
            engine.add(start(&core)?);
        }
        // It waits for what the control thread may begin with, too.
        if !self.watched.is_empty() || self.private_folder.is_some() || has_built_in {
            engine.rescan();
        }
        Ok(engine)
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.modules.is_empty() && self.openings.is_empty() && self.factories.is_empty() {
            return Err(BuildError::NoModule);
        }
        for (index, Declaration { name, interface, interface_type, .. }) in self.modules.iter().enumerate() {
            if !is_name(name) {
                return Err(BuildError::BadName { name: name.clone() });
            }
            if let Some(earlier) = self.modules[..index].iter().find(|earlier| earlier.name == *name) {
                if earlier.interface_type == *interface_type {
                    return Err(BuildError::DeclaredTwice { name: name.clone() });
                }
                let (expected, found) = (earlier.interface, *interface);
                return Err(BuildError::OtherInterface { name: name.clone(), found, expected });
            }
        }
        self.check_factories()?;
        self.check_built_ins()?;
        self.check_sets()?;
        let names = self.modules.iter().map(|module| module.name.as_str());
        let with_factories = names.chain(self.factories.iter().map(|factory| factory.name.as_str()));
        self.policies.check(with_factories.clone())?;
        self.pools.check(with_factories)?;
        let modules = self.modules.iter();
        self.ticks.check(modules.map(|it| (it.name.as_str(), it.interface, it.interface_type)))?;
        Ok(self.authority.check()?)
    }
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> BuildError {
    let what = what.to_owned();
    move |source| BuildError::System { what, source }
}
