//! Building an engine.

use std::any::TypeId;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use liveswap_state::manifest::is_name;
use liveswap_state::{Interface, MethodSpec, Spawner};

use crate::call::{Bell, CallPath};
use crate::candidate::accept::{CANDIDATE_SIZE_MAX, PrivateFolder};
use crate::control::{Control, Module, Reaper, Settings};
use crate::engine::{Core, Declared, Engine, Trigger};
use crate::error::BuildError;
use crate::spawn::{self, Jobs};
use crate::status::Board;

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
    private_folder: Option<PathBuf>,
    watched: Vec<PathBuf>,
    triggers: Vec<StartTrigger>,
    candidate_size_max: u64,
    retained_max: usize,
    kept_max: usize,
    drain_deadline: Duration,
    spawned_running_max: usize,
    spawned_waiting_max: usize,
}

/// Starts a trigger, once there is something for it to reach.
type StartTrigger = Box<dyn FnOnce(&Arc<Core>) -> Result<Box<dyn Trigger>, BuildError> + Send>;

struct Declaration {
    name: String,
    interface: &'static str,
    interface_type: TypeId,
    methods: &'static [MethodSpec],
    spawner: fn(Arc<CallPath>, Arc<Jobs>) -> Arc<dyn Spawner>,
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
            private_folder: None,
            watched: Vec::new(),
            triggers: Vec::new(),
            candidate_size_max: CANDIDATE_SIZE_MAX,
            retained_max: 8,
            kept_max: 2,
            drain_deadline: Duration::from_secs(10),
            spawned_running_max: 64,
            spawned_waiting_max: 1024,
        }
    }

    /// Declares a module, by the interface through which it is called. Its name is the one in its
    /// manifest, and the start of its files' names.
    pub fn module<I: Interface + ?Sized>(mut self, name: impl Into<String>) -> Self {
        self.modules.push(Declaration {
            name: name.into(),
            interface: I::NAME,
            interface_type: TypeId::of::<I>(),
            methods: I::METHODS,
            spawner: spawn::spawner::<I>,
        });
        self
    }

    /// Watches a folder: a candidate that is copied or moved there is pushed. The folder is made if it is
    /// missing, and looked through at the start. Nothing is loaded from a folder that every user may write to.
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

    /// Looks through the watched folders at each SIGHUP.
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

    /// How many calls that logic has spawned may run at once, those of all modules together; one at least.
    /// Each has a thread while it runs. What is beyond waits. 64, unless set.
    pub fn spawned_running_max(mut self, calls: usize) -> Self {
        self.spawned_running_max = calls.max(1);
        self
    }

    /// How many calls that logic has spawned may wait, those of all modules together. What is beyond is
    /// refused. 1,024, unless set.
    pub fn spawned_waiting_max(mut self, calls: usize) -> Self {
        self.spawned_waiting_max = calls;
        self
    }

    /// Starts the engine: its threads run, and what the watched folders hold is loaded.
    ///
    /// # Errors
    ///
    /// If a declaration is wrong, or the system refuses a folder, a socket or a thread. A candidate that is
    /// refused is no error: it is logged, and the module has no active version yet.
    pub fn build(self) -> Result<Engine, BuildError> {
        self.check()?;
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
        let declared: Vec<_> = self
            .modules
            .iter()
            .map(|module| Declared {
                path: Arc::new(CallPath::new(module.name.clone(), module.methods, bell.clone())),
                board: Arc::new(Mutex::new(Board { phase: "empty", ..Board::default() })),
                interface: module.interface,
                interface_type: module.interface_type,
            })
            .collect();
        let jobs = Arc::new(Jobs::new(self.spawned_running_max, self.spawned_waiting_max));
        let modules = declared
            .iter()
            .zip(&self.modules)
            .map(|(module, Declaration { spawner, .. })| {
                let spawner = spawner(module.path.clone(), jobs.clone());
                let (path, board) = (module.path.clone(), module.board.clone());
                Module::new(path, module.interface, board, reaper.clone(), spawner)
            })
            .collect();
        let settings = Settings {
            folder: Arc::new(folder),
            watched: self.watched.clone(),
            candidate_size_max: self.candidate_size_max,
            retained_max: self.retained_max,
            kept_max: self.kept_max,
            drain_deadline: self.drain_deadline,
            bell,
        };
        let control = Control::start(modules, settings, reaper.clone(), jobs);
        let control = control.map_err(|error| {
            reaper.stop(None);
            system("start the control thread")(error)
        })?;
        let core = Arc::new(Core {
            modules: declared,
            mailbox: control.mailbox.clone(),
            reaper,
            candidate_size_max: self.candidate_size_max,
        });
        // From here on, dropping the engine ends the threads.
        let mut engine = Engine::new(core.clone(), control);
        // Watching begins before the first look, so that no file falls between the two.
        for start in self.triggers {
            engine.add(start(&core)?);
        }
        if !self.watched.is_empty() {
            engine.rescan();
        }
        Ok(engine)
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.modules.is_empty() {
            return Err(BuildError::NoModule);
        }
        for (index, Declaration { name, .. }) in self.modules.iter().enumerate() {
            if !is_name(name) {
                return Err(BuildError::BadName { name: name.clone() });
            }
            if self.modules[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(BuildError::DeclaredTwice { name: name.clone() });
            }
        }
        Ok(())
    }
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> BuildError {
    let what = what.to_owned();
    move |source| BuildError::System { what, source }
}
