//! Building an engine.

use std::any::TypeId;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use liveswap_state::manifest::is_name;
use liveswap_state::{Interface, MethodSpec};

use crate::call::{Bell, CallPath};
use crate::candidate::accept::PrivateFolder;
use crate::control::{Control, Module, Reaper, Settings};
use crate::engine::{Core, Declared, Engine, Trigger};
use crate::error::BuildError;
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
#[derive(Debug)]
#[must_use = "an engine starts with `build`"]
pub struct Builder {
    modules: Vec<Declaration>,
    private_folder: Option<PathBuf>,
    watched: Vec<PathBuf>,
    admin: Option<PathBuf>,
    rescan_on_hangup: bool,
    candidate_size_max: u64,
    retired_max: usize,
    kept_max: usize,
    drain_deadline: Duration,
}

#[derive(Debug)]
struct Declaration {
    name: String,
    interface: &'static str,
    interface_type: TypeId,
    methods: &'static [MethodSpec],
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            modules: Vec::new(),
            private_folder: None,
            watched: Vec::new(),
            admin: None,
            rescan_on_hangup: false,
            candidate_size_max: 256 * 1024 * 1024,
            retired_max: 8,
            kept_max: 2,
            drain_deadline: Duration::from_secs(10),
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
        });
        self
    }

    /// Watches a folder: a candidate that is copied or moved there is pushed. The folder is made if it is
    /// missing, and looked through at the start.
    #[cfg(feature = "watch")]
    pub fn watch(mut self, folder: impl Into<PathBuf>) -> Self {
        self.watched.push(folder.into());
        self
    }

    /// Serves the admin API on a Unix socket of mode 0600, for the `liveswap` command. A socket that an
    /// earlier process left there is replaced.
    #[cfg(feature = "admin")]
    pub fn admin(mut self, socket: impl Into<PathBuf>) -> Self {
        self.admin = Some(socket.into());
        self
    }

    /// Looks through the watched folders at each SIGHUP.
    #[cfg(feature = "signals")]
    pub fn rescan_on_hangup(mut self) -> Self {
        self.rescan_on_hangup = true;
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
    pub fn retired_max(mut self, versions: usize) -> Self {
        self.retired_max = versions;
        self
    }

    /// How many predecessors a module can return to, one rollback after the other. Their files are kept.
    /// 2, unless set.
    pub fn kept_max(mut self, versions: usize) -> Self {
        self.kept_max = versions;
        self
    }

    /// After which time a retired version that calls are still inside is reported; and how long the end of
    /// the engine waits for them. Nothing is ever unmapped under a call. 10 seconds, unless set.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
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
        let modules = declared
            .iter()
            .map(|module| {
                Module::new(module.path.clone(), module.interface, module.board.clone(), reaper.clone())
            })
            .collect();
        let folder = match &self.private_folder {
            Some(path) => PrivateFolder::open(path),
            None => PrivateFolder::temporary(),
        };
        let settings = Settings {
            folder: Arc::new(folder.map_err(system("make the private folder"))?),
            watched: self.watched.clone(),
            candidate_size_max: self.candidate_size_max,
            retired_max: self.retired_max,
            kept_max: self.kept_max,
            drain_deadline: self.drain_deadline,
            bell,
        };
        let control = Control::start(modules, settings, reaper.clone());
        let control = control.map_err(system("start the control thread"))?;
        let core = Arc::new(Core { modules: declared, mailbox: control.mailbox.clone(), reaper });
        // From here on, dropping the engine ends the threads.
        let mut engine = Engine::new(core.clone(), control);
        // Watching begins before the first look, so that no file falls between the two.
        for trigger in self.triggers(&core)? {
            engine.add(trigger);
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

    fn triggers(&self, core: &Arc<Core>) -> Result<Vec<Box<dyn Trigger>>, BuildError> {
        let _ = core;
        let mut triggers: Vec<Box<dyn Trigger>> = Vec::new();
        #[cfg(feature = "watch")]
        for folder in &self.watched {
            let watcher = crate::trigger::watch::Watcher::start(folder, core.mailbox.clone());
            triggers.push(Box::new(watcher.map_err(system(&format!("watch {}", folder.display())))?));
        }
        #[cfg(feature = "signals")]
        if self.rescan_on_hangup {
            let hangup = crate::trigger::hangup::Hangup::start(core.mailbox.clone());
            triggers.push(Box::new(hangup.map_err(system("listen for SIGHUP"))?));
        }
        #[cfg(feature = "admin")]
        if let Some(socket) = &self.admin {
            let admin = crate::admin::Server::start(socket, core.clone(), self.candidate_size_max);
            triggers.push(Box::new(admin.map_err(system(&format!("serve {}", socket.display())))?));
        }
        Ok(triggers)
    }
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> BuildError {
    let what = what.to_owned();
    move |source| BuildError::System { what, source }
}
