//! The context: what each call of logic is told about itself, and its way to the host.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::dependency::{Dependency, DependencyError, Modules};
use crate::output::OutputSink;
use crate::spawn::Spawner;
use crate::{After, Interface, Lane, Options, SharedOptions, TimerId};

/// Handed to each method of logic beside its state: who it is, for as long as the call lasts.
///
/// The host owns it and keeps it as long as the version is loaded. It's also the way to the module's
/// [options](Self::options) and to [other modules](Self::dependency).
pub struct Context {
    module: String,
    version: String,
    serial: usize,
    /// None without a host.
    spawner: Option<Arc<dyn Spawner>>,
    /// None without a host.
    modules: Option<Arc<dyn Modules>>,
    /// The module's, which all of its versions see.
    options: Arc<SharedOptions>,
    /// None where output goes nowhere.
    output: Option<Arc<dyn OutputSink>>,
    foreign: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Context {
    /// A context for tests that call logic directly, without a host.
    pub fn new(module: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            module: module.into(),
            version: version.into(),
            serial: 0,
            spawner: None,
            modules: None,
            options: Arc::default(),
            output: None,
            foreign: OnceLock::new(),
        }
    }

    /// The context of one load of a version. For the engine: `serial` is how the host finds what it knows of
    /// this load, and is never 0 and never used twice in a process; `spawner` takes over what is spawned.
    #[doc(hidden)]
    pub fn of_load(
        module: impl Into<String>,
        version: impl Into<String>,
        serial: usize,
        spawner: Arc<dyn Spawner>,
    ) -> Self {
        Self { serial, spawner: Some(spawner), ..Self::new(module, version) }
    }

    /// The same, with the modules that it can reach. For the engine.
    #[doc(hidden)]
    pub fn with_modules(self, modules: Arc<dyn Modules>) -> Self {
        Self { modules: Some(modules), ..self }
    }

    /// The same, with the options of its module, which the host may change. For the engine.
    #[doc(hidden)]
    pub fn sharing_options(self, options: Arc<SharedOptions>) -> Self {
        Self { options, ..self }
    }

    /// The same, with a place for what this version puts out. For the engine.
    #[doc(hidden)]
    pub fn with_output(self, output: Arc<dyn OutputSink>) -> Self {
        Self { output: Some(output), ..self }
    }

    /// The same, with these options. For tests that call logic directly.
    pub fn with_options(self, options: Options) -> Self {
        Self { options: Arc::new(SharedOptions::new(options)), ..self }
    }

    /// The name of the module this version belongs to.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// This version, as its manifest states it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which load of the version this is; 0 without a host.
    #[doc(hidden)]
    pub fn serial(&self) -> usize {
        self.serial
    }

    /// What the engine keeps for a library that isn't written in Rust. Set once, before the first call.
    #[doc(hidden)]
    pub fn foreign(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.foreign
    }

    /// Spawns calls of this module: work that the caller doesn't wait for, and that must not pin a version.
    ///
    /// What is returned has each method of the interface whose arguments are all owned. Calling one hands its
    /// arguments over and returns at once. The host makes the call on a thread of its own, named after module
    /// and method, on the version that is active when it starts. Until then it holds no version; while it
    /// runs, it's a call like any other, and borrows the state as the method's receiver says. So one that is
    /// spawned by an exclusive call waits until that has returned.
    ///
    /// Its result is dropped, and if it fails, that is logged. The host runs so many at once and lets so many
    /// wait, and refuses what is beyond; so it does for each module that has a pool of its own, and for all others
    /// together. Calls that wait when the engine ends are dropped. What a hook spawns
    /// may start before its version is published: on the predecessor, or on none, and then it's dropped too.
    ///
    /// A thread of logic's own instead, from `std::thread::spawn`, runs the code of the version that
    /// started it, and that version stays loaded until it ends.
    ///
    /// ```
    /// use liveswap_state::{Context, SpawnError, interface};
    ///
    /// #[interface]
    /// pub trait Game {
    ///     fn save(&self, player: String);
    ///     fn leave(&mut self, player: String);
    /// }
    ///
    /// fn leave(context: &Context, player: String) -> Result<(), SpawnError> {
    ///     context.spawn::<dyn Game>().save(player)
    /// }
    ///
    /// // A context without a host runs nothing.
    /// let refused = leave(&Context::new("game", "1001"), "ada".to_owned());
    /// assert_eq!(refused, Err(SpawnError::NoHost { method: "save".to_owned() }));
    /// ```
    pub fn spawn<I: Interface + ?Sized>(&self) -> I::Spawn<'_, Lane> {
        self.spawn_in::<I>(Lane::Normal)
    }

    /// The same, in another lane: what waits in a higher one goes first.
    pub fn spawn_in<I: Interface + ?Sized>(&self, lane: Lane) -> I::Spawn<'_, Lane> {
        I::spawn(self, lane)
    }

    /// Sets timers: as [`spawn`](Self::spawn), but the call is made when this time has passed. Each gives a
    /// [`TimerId`], by which it can be [called off](Self::cancel_timer).
    ///
    /// The host keeps the arguments meanwhile, and no version with them: the call is made on the version that is active
    /// then. It goes through the module's pool, whatever waits there, so it may come later than that, and never sooner.
    /// Where the module has no version yet, it waits for the first one. Timers that are left when the engine ends are
    /// dropped: they aren't kept in snapshots.
    ///
    /// The host lets a module have so many timers at once, and refuses what is beyond. A time of more than a hundred
    /// years is one of a hundred years.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use liveswap_state::{Context, SpawnError, TimerId, interface};
    ///
    /// #[interface]
    /// pub trait Game {
    ///     fn throw_out(&mut self, player: String);
    /// }
    ///
    /// fn join(context: &Context, player: String) -> Result<TimerId, SpawnError> {
    ///     context.after::<dyn Game>(Duration::from_secs(600)).throw_out(player)
    /// }
    ///
    /// // A context without a host keeps nothing.
    /// assert!(join(&Context::new("game", "1001"), "ada".to_owned()).is_err());
    /// ```
    pub fn after<I: Interface + ?Sized>(&self, delay: Duration) -> I::Spawn<'_, After> {
        I::spawn(self, After(delay))
    }

    /// Calls off a timer of this module's, whichever version has set it. True if its call won't be made then; false if
    /// that has begun, or there is no such timer any more.
    pub fn cancel_timer(&self, timer: TimerId) -> bool {
        self.spawner().is_some_and(|host| host.cancel_timer(timer))
    }

    /// Puts out text, as `println!` does, but so that the host knows whose it is. For `liveswap_logic::output!`.
    ///
    /// The host decides where it goes: to its standard output with the module's name before each line, unless it says
    /// otherwise. Without a host it goes nowhere, and so it does in a rehearsal.
    pub fn output(&self, text: fmt::Arguments<'_>) {
        let Some(output) = &self.output else { return };
        match text.as_str() {
            Some(text) => output.put(self, text),
            None => output.put(self, &text.to_string()),
        }
    }

    /// Another module of the host's, to be called by its interface, with no link to its library.
    ///
    /// ```
    /// use liveswap_state::{Context, DependencyError, interface};
    ///
    /// #[interface]
    /// pub trait Chain {
    ///     fn head(&self) -> u64;
    /// }
    ///
    /// fn describe(context: &Context) -> Result<String, String> {
    ///     let chain = context.dependency::<dyn Chain>("chain").map_err(|error| error.to_string())?;
    ///     let head = chain.call(|chain| chain.head()).map_err(|error| error.to_string())?;
    ///     Ok(format!("at block {head}"))
    /// }
    ///
    /// // A context without a host reaches nothing.
    /// let alone = DependencyError::NoHost { module: "chain".to_owned() };
    /// assert_eq!(describe(&Context::new("net", "1001")), Err(alone.to_string()));
    /// ```
    ///
    /// # Errors
    ///
    /// If the host has no such module, or it was declared with another interface.
    pub fn dependency<I: Interface + ?Sized>(
        &self,
        name: &str,
    ) -> Result<Dependency<'_, I>, DependencyError> {
        Dependency::find(self, name)
    }

    /// The module's options as they are now. Each change makes new ones: what is returned stays as it is.
    pub fn options(&self) -> Arc<Options> {
        self.options.current()
    }

    pub(crate) fn modules(&self) -> Option<&dyn Modules> {
        self.modules.as_deref()
    }

    pub(crate) fn spawner(&self) -> Option<&dyn Spawner> {
        self.spawner.as_deref()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Context")
            .field("module", &self.module)
            .field("version", &self.version)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}
