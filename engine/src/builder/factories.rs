//! Factories: names of candidates that several modules are made of.

use liveswap_state::manifest::is_name;
use liveswap_state::{Interface, MethodSpec};

use super::{Builder, Declaration};
use crate::error::BuildError;

impl Builder {
    /// Declares a factory: a name of candidates, which is the one in their manifests, and an interface. It's no module
    /// itself. Its *instances* are: each has a name of its own, and its own state, options, dependencies, timers and
    /// snapshots, and loads a copy of the library of its own, so that not even statics are shared. A candidate that is pushed
    /// for the factory becomes the version of all of them, by one publish, or of none.
    ///
    /// Instances are declared ([`Registration::instance_of`](crate::Registration::instance_of)), or come and go while the
    /// engine runs ([`Engine::create`](crate::Engine::create), [`Engine::destroy`](crate::Engine::destroy)).
    ///
    /// ```no_run
    /// use liveswap::{Engine, Instance};
    /// # #[liveswap_state::interface]
    /// # pub trait Room { fn enter(&mut self, who: &str); }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::builder().factory::<dyn Room>("room").build()?;
    /// engine.push("room.v1001.so")?;
    /// engine.create(Instance::of("room", "lobby").option("seats", 12))?;
    /// engine.module::<dyn Room>("lobby")?.call(|room| room.enter("test"))?;
    /// engine.destroy("lobby")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn factory<I: Interface + ?Sized>(mut self, name: impl Into<String>) -> Self {
        self.factories.push(Declaration::of::<I>(name.into()));
        self
    }

    /// Declares the factory of an instance, unless it's declared already.
    pub(super) fn add_factory_of(&mut self, instance: &Declaration) {
        let Some(name) = &instance.factory else { return };
        if self.factories.iter().all(|known| known.name != *name) {
            let factory =
                Declaration { name: name.clone(), required: Vec::new(), factory: None, ..instance.clone() };
            self.factories.push(factory);
        }
    }

    /// Whether each has a name and an interface of its own, which is that of its instances.
    pub(super) fn check_factories(&self) -> Result<(), BuildError> {
        for (index, Declaration { name, interface, interface_type, .. }) in self.factories.iter().enumerate()
        {
            if !is_name(name) {
                return Err(BuildError::BadName { name: name.clone() });
            }
            if self.modules.iter().any(|module| module.name == *name) {
                return Err(BuildError::FactoryIsModule { name: name.clone() });
            }
            let mut instances = self.modules.iter().filter(|module| module.factory.as_ref() == Some(name));
            if let Some(other) = instances.find(|other| other.interface_type != *interface_type) {
                let (instance, factory) = (other.name.clone(), name.clone());
                let (found, expected) = (other.interface, *interface);
                return Err(BuildError::InstanceOfOtherInterface { instance, factory, found, expected });
            }
            if self.factories[..index].iter().any(|earlier| earlier.name == *name) {
                return Err(BuildError::DeclaredTwice { name: name.clone() });
            }
        }
        Ok(())
    }
}

impl Declaration {
    /// An instance of this factory.
    pub(crate) fn instance(&self, name: String) -> Self {
        Self { name, factory: Some(self.name.clone()), ..self.clone() }
    }

    pub(crate) fn interface(&self) -> &'static str {
        self.interface
    }

    pub(crate) fn methods(&self) -> &'static [MethodSpec] {
        self.methods
    }
}
