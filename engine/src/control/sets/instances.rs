//! Instances that come and go while the engine runs.
//!
//! **Creating** one is all or nothing: it's made, begins with what its siblings have, and is started. If the siblings'
//! predecessors could still take over, it begins with that one and is swapped to the active version, so that it can be
//! rolled back with them.
//!
//! **Destroying** one closes it, waits for the last call, has it stopped if it was started, drops its state by the version
//! that serves it, and has its versions leave their slots. If calls stay inside, it remains, closed, and can be
//! destroyed later.

use liveswap_state::manifest::is_name;

use crate::control::Asker;
use crate::control::module::Module;
use crate::control::reaper::deadline_in;
use crate::control::thread::{Worker, listen};
use crate::error::InstanceError;
use crate::instance::Instance;
use crate::lifecycle::LifecyclePhase;
use crate::lock::lock;
use crate::modules::Declared;
use crate::tell::tell;

impl Worker {
    /// Makes an instance of a factory, and starts it.
    pub(in crate::control) fn create(
        &mut self,
        instance: Instance,
        asker: &Asker,
    ) -> Result<(), InstanceError> {
        let name = instance.name.clone();
        self.while_busy(format!("instance `{name}` is being created"), |thread| {
            let outcome = thread.create_now(instance);
            thread.settings.audit.instance_made(asker, &name, &outcome);
            if let Err(error) = &outcome {
                tell(|| tracing::warn!(instance = name, code = error.code(), "not created: {error}"));
            }
            outcome
        })
    }

    fn create_now(
        &mut self,
        Instance { factory, name, options, requires }: Instance,
    ) -> Result<(), InstanceError> {
        let set = self.factory(&factory).ok_or_else(|| {
            let factories = self.sets.iter().filter(|set| set.factory.is_some());
            let known: Vec<_> = factories.map(|set| format!("`{}`", set.set.name)).collect();
            InstanceError::UnknownFactory { factory: factory.clone(), known: known.join(", ") }
        })?;
        if !is_name(&name) {
            return Err(InstanceError::BadName { name });
        }
        if self.position(&name).is_some() || self.factory(&name).is_some() {
            return Err(InstanceError::NameTaken { name });
        }
        let limit = self.settings.openings.modules_max;
        if self.modules.len() >= limit {
            return Err(InstanceError::TooMany { instance: name, limit });
        }
        let required = self.started(&name, requires)?;
        let no_version = || InstanceError::NoVersion { factory, instance: name.clone() };
        let beginning = self.beginning(set).ok_or_else(no_version)?;
        let (declared, mut module) = self.make(set, &name, options)?;
        let is_late = match beginning.take(&mut module, &self.settings) {
            Ok(is_late) => is_late,
            Err(source) => {
                self.discard(module);
                return Err(InstanceError::Refused { instance: name, source: source.into() });
            }
        };
        let index = self.modules.len();
        self.modules.push(module);
        self.sets[set].members.push(index);
        lock(&self.sets[set].board).members.push(name.clone());
        if let Some(factory) = self.sets[set].factory.as_mut().filter(|_| is_late) {
            factory.note_late(index);
        }
        self.settings.openings.maker.modules.add(declared);
        self.note_joined(required);
        if let Err(source) = self.start_new(index) {
            self.modules[index].leave();
            self.remove(index);
            return Err(InstanceError::NotStarted { instance: name, source });
        }
        tell(|| tracing::info!(instance = name, factory = self.sets[set].set.name, "created"));
        Ok(())
    }

    /// The places of what an instance requires. All of it must have been started.
    fn started(&self, instance: &str, requires: Vec<String>) -> Result<Vec<usize>, InstanceError> {
        let place = |required: String| {
            let instance = instance.to_owned();
            let Some(place) = self.position(&required) else {
                let known = self.known();
                return Err(InstanceError::UnknownRequirement { instance, required, known });
            };
            let module = &self.modules[place];
            let found = if module.can_be_published() { module.lifecycle() } else { LifecyclePhase::Stopped };
            match found {
                LifecyclePhase::Started => Ok(place),
                found => Err(InstanceError::RequirementNotStarted { instance, required, found }),
            }
        };
        requires.into_iter().map(place).collect()
    }

    fn make(
        &self,
        set: usize,
        name: &str,
        options: Vec<(String, liveswap_state::OptionValue)>,
    ) -> Result<(Declared, Module), InstanceError> {
        let factory = self.sets[set].factory.as_ref().expect("it's a factory's");
        let declaration = factory.declaration.instance(name.to_owned());
        let config = &self.settings.config;
        config.set_of_instance(name, options);
        let read = config.read(&[name], std::env::vars_os());
        let made = read.map_err(Into::into).and_then(|mut options| {
            let options = options.remove(name).unwrap_or_default();
            // It's for the host to make it again after a start, so no record says what that would begin with.
            self.settings.openings.maker.make(&declaration, options, false)
        });
        let (declared, module) = made.map_err(|source| {
            config.forget_instance(name);
            InstanceError::Unmade { instance: name.to_owned(), source: source.into() }
        })?;
        listen(&module, &self.settings);
        Ok((declared, module))
    }

    /// Closes an instance for good, has it stopped, and forgets it.
    pub(in crate::control) fn destroy(&mut self, name: &str, asker: &Asker) -> Result<(), InstanceError> {
        self.while_busy(format!("instance `{name}` is being destroyed"), |thread| {
            let outcome = thread.destroy_now(name);
            thread.settings.audit.instance_destroyed(asker, name, &outcome);
            tell(|| match &outcome {
                Ok(()) => tracing::info!(instance = name, "destroyed"),
                Err(error) => {
                    tracing::warn!(instance = name, code = error.code(), "while destroying: {error}");
                }
            });
            outcome
        })
    }

    fn destroy_now(&mut self, name: &str) -> Result<(), InstanceError> {
        let instance = || name.to_owned();
        let index = self.position(name).ok_or_else(|| InstanceError::Unknown { instance: instance() })?;
        if self.siblings(index).is_none() {
            return Err(InstanceError::NotAnInstance { module: instance() });
        }
        let by: Vec<_> = self.requiring(index).iter().map(|other| format!("`{other}`")).collect();
        if !by.is_empty() {
            return Err(InstanceError::Required { instance: instance(), by: by.join(", ") });
        }
        let deadline = deadline_in(self.settings.drain_deadline);
        let module = &mut self.modules[index];
        module.leave();
        if !module.is_drained_by(&self.settings, deadline) {
            let holders = module.holders();
            return Err(InstanceError::Occupied { instance: instance(), holders });
        }
        let stopped = self.stop_leaving(index, deadline);
        self.remove(index);
        stopped.map_err(|source| InstanceError::NotStopped { instance: instance(), source })
    }

    /// Forgets an instance that nobody enters any more.
    fn remove(&mut self, index: usize) {
        let module = self.modules.remove(index);
        self.settings.openings.maker.modules.remove(module.name());
        self.sets.iter_mut().for_each(|set| set.remove(index, module.name()));
        self.lifecycle.remove(index);
        if self.settings.openings.has_any() {
            // A candidate may have been one module too many.
            self.forget_refused();
        }
        self.discard(module);
    }

    /// Ends a module that is on no list.
    fn discard(&self, mut module: Module) {
        module.leave();
        module.destroy(&self.settings, deadline_in(self.settings.drain_deadline));
        self.settings.config.forget_instance(module.name());
    }
}
