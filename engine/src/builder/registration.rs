//! Registering modules, each with what it requires.

use liveswap_state::Interface;

use super::{Builder, Declaration};
use crate::error::BuildError;
use crate::lifecycle::graph::{Cycle, Graph};

/// A module to be: its name, the interface through which it's called, and the modules that it requires.
///
/// Whoever offers a module writes a function that gives its registration, and names those of what it requires:
///
/// ```no_run
/// use liveswap::{Engine, Registration};
/// # #[liveswap_state::interface]
/// # pub trait Chain { fn head() -> u64; }
/// # #[liveswap_state::interface]
/// # pub trait Net { fn peers() -> u64; }
///
/// fn chain() -> Registration {
///     Registration::of::<dyn Chain>("chain")
/// }
///
/// fn net() -> Registration {
///     Registration::of::<dyn Net>("net").requires(chain)
/// }
///
/// # fn main() -> Result<(), liveswap::BuildError> {
/// // `chain` comes along, and is initialized and started before `net`.
/// let engine = Engine::builder().register(net()).watch("modules").build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "it does nothing until it is given to `Builder::register`"]
pub struct Registration {
    declaration: Declaration,
    requires: Vec<fn() -> Registration>,
}

impl Registration {
    /// A module, by its name, which is the one in its manifests, and its interface.
    pub fn of<I: Interface + ?Sized>(name: impl Into<String>) -> Self {
        Self { declaration: Declaration::of::<I>(name.into()), requires: Vec::new() }
    }

    /// It's an instance of a factory, which is declared with it by the same interface; see
    /// [`Builder::factory`].
    pub fn instance_of(mut self, factory: impl Into<String>) -> Self {
        self.declaration.factory = Some(factory.into());
        self
    }

    /// It requires another module, which is registered with it: that one is initialized and started before it, and stopped
    /// after it.
    pub fn requires(mut self, dependency: fn() -> Registration) -> Self {
        self.requires.push(dependency);
        self
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Declaration { name, interface, .. } = &self.declaration;
        formatter
            .debug_struct("Registration")
            .field("name", name)
            .field("interface", interface)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Registers a module with all that it requires, and what those require. What is registered already, by the same
    /// interface, isn't registered again; what else it requires then is added.
    pub fn register(mut self, registration: Registration) -> Self {
        let mut to_come = vec![registration];
        while let Some(Registration { mut declaration, requires }) = to_come.pop() {
            let required: Vec<_> = requires.into_iter().map(|required| required()).collect();
            // Who says twice that it requires a module requires it once.
            for Registration { declaration: Declaration { name, .. }, .. } in &required {
                if !declaration.required.contains(name) {
                    declaration.required.push(name.clone());
                }
            }
            self.add_factory_of(&declaration);
            let is_same = |known: &&mut Declaration| {
                known.name == declaration.name
                    && known.interface_type == declaration.interface_type
                    && known.factory == declaration.factory
            };
            match self.modules.iter_mut().find(is_same) {
                Some(known) => {
                    let new = |name: &String| !known.required.contains(name);
                    let new: Vec<_> = declaration.required.into_iter().filter(new).collect();
                    to_come
                        .extend(required.into_iter().rev().filter(|it| new.contains(&it.declaration.name)));
                    known.required.extend(new);
                }
                None => {
                    to_come.extend(required.into_iter().rev());
                    self.modules.push(declaration);
                }
            }
        }
        self
    }

    /// What requires what, in the order of the declarations.
    pub(super) fn graph(&self) -> Result<Graph, BuildError> {
        let place = |name: &String| self.modules.iter().position(|module| module.name == *name);
        let places = |declared: &Declaration| declared.required.iter().filter_map(place).collect();
        let graph = Graph::new(self.modules.iter().map(places).collect());
        if let Err(Cycle(members)) = graph.order() {
            let names: Vec<_> = members.iter().map(|module| self.modules[*module].name.as_str()).collect();
            return Err(BuildError::Cycle { members: names.join(" -> ") });
        }
        Ok(graph)
    }
}
