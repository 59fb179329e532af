//! Instances of a factory that come and go while the engine runs.

use liveswap_state::OptionValue;

use crate::control::Asker;
use crate::engine::Engine;
use crate::error::InstanceError;

/// An instance to be: its factory, its name, and what it needs. See [`Engine::create`].
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is given to `Engine::create`"]
pub struct Instance {
    pub(crate) factory: String,
    pub(crate) name: String,
    /// Key and value; the last one wins.
    pub(crate) options: Vec<(String, OptionValue)>,
    pub(crate) requires: Vec<String>,
}

impl Instance {
    /// An instance of a factory, under a name of its own.
    pub fn of(factory: impl Into<String>, name: impl Into<String>) -> Self {
        Self { factory: factory.into(), name: name.into(), options: Vec::new(), requires: Vec::new() }
    }

    /// Sets an option of it, below what the [configuration's file](crate::Builder::config) and the environment say for its
    /// name. Dots in `key` lead into tables.
    pub fn option(mut self, key: impl Into<String>, value: impl Into<OptionValue>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    /// It requires another module, which must have been started: that one is stopped after it, and can't be destroyed
    /// before it.
    pub fn requires(mut self, module: impl Into<String>) -> Self {
        self.requires.push(module.into());
        self
    }
}

impl Engine {
    /// Makes an instance of a [factory](crate::Builder::factory): a module of its own, called through a handle from
    /// [`module`](Self::module). It begins with the version that its siblings have, or the one that was pushed last, and is
    /// initialized and started before this returns, also where the host starts its modules
    /// [by hand](crate::Builder::start_by_hand).
    ///
    /// If its siblings are on probation, it begins with their predecessor and is swapped to their version, so that it
    /// can be rolled back with them.
    ///
    /// The engine doesn't remember it: the next process has to create it again. If there are
    /// [snapshots](crate::Builder::snapshots) of it then, it begins with the newest one.
    ///
    /// # Errors
    ///
    /// Why there is no such instance. Nothing is left of it.
    pub fn create(&self, instance: Instance) -> Result<(), InstanceError> {
        self.core().mailbox.create(instance, Asker::Host)
    }

    /// Ends an instance for good, whether it was declared or created. From now on its calls answer `NoActiveVersion`; those
    /// that are inside are waited for, up to [`Builder::drain_deadline`](crate::Builder::drain_deadline). Then it's stopped,
    /// its state is dropped with its snapshots, its versions leave memory as they drain, and its name is free.
    ///
    /// One that was declared is there again when the host starts the next time.
    ///
    /// # Errors
    ///
    /// If it isn't an instance, or another module requires it, and then nothing has happened. If calls are still inside at the
    /// deadline ([`InstanceError::Occupied`]): then it's closed, and can be destroyed later. If its `stop` hook has failed
    /// ([`InstanceError::NotStopped`]): then it's gone all the same.
    pub fn destroy(&self, instance: &str) -> Result<(), InstanceError> {
        self.core().mailbox.destroy(instance.to_owned(), Asker::Host)
    }
}
