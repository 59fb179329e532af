//! The registry: which modules an engine has, in which versions, and what those export.
//!
//! What a version exports, its manifest says: the methods that may be called, the constants that it makes known, and the
//! types that its state is made of. It's the same for an implementation that is built in and for one that was plugged in,
//! and so is the way to look it up. All of it is sorted by name.

use serde::Serialize;

use crate::candidate::{ConstantManifest, Manifest, MethodManifest, VersionNumber};
use crate::lock::lock;
use crate::modules::Modules;
use crate::status::{Origin, Placed};

/// All modules of an engine, with what their versions export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Registry {
    /// Sorted by name.
    pub modules: Vec<RegisteredModule>,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredModule {
    /// Its name.
    pub name: String,
    /// The [factory](crate::Builder::factory) that it's an instance of; left out if it's of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factory: Option<String>,
    /// The interface through which the host calls it.
    pub interface: &'static str,
    /// The version that calls enter.
    pub active: Option<RegisteredVersion>,
    /// Its predecessor, if that is ready to take over again.
    pub standby: Option<RegisteredVersion>,
}

/// A version that is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RegisteredVersion {
    /// The version.
    pub version: VersionNumber,
    /// Where it's from.
    pub origin: Origin,
    /// What it exports.
    #[serde(flatten)]
    pub exports: Exports,
}

/// What a version exports, each list sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exports {
    /// Its methods; more than the host's interface has, if it was built against a later one.
    pub functions: Vec<MethodManifest>,
    /// The values that it makes known.
    pub constants: Vec<ConstantManifest>,
    /// The state and the types within it.
    pub types: Vec<ExportedType>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct ExportedType {
    /// Its name.
    pub name: String,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of what it's made of, in hexadecimal.
    pub fingerprint: String,
}

/// Something that a version exports, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symbol<'exports> {
    /// A method.
    Function(&'exports MethodManifest),
    /// A value.
    Constant(&'exports ConstantManifest),
    /// A type.
    Type(&'exports ExportedType),
}

impl Exports {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let (mut functions, mut constants) = (manifest.methods.clone(), manifest.constants.clone());
        functions.sort_by(|one, other| one.name.cmp(&other.name));
        constants.sort_by(|one, other| one.name.cmp(&other.name));
        let types = manifest.state.types.iter().map(|known| ExportedType {
            name: known.name.clone(),
            schema: known.schema,
            fingerprint: known.fingerprint.clone(),
        });
        let mut types: Vec<_> = types.collect();
        types.sort();
        types.dedup();
        Self { functions, constants, types }
    }

    /// What is exported under this name: a function rather than a constant, a constant rather than a type.
    pub fn symbol(&self, name: &str) -> Option<Symbol<'_>> {
        let function = self.functions.iter().find(|it| it.name == name).map(Symbol::Function);
        let constant = || self.constants.iter().find(|it| it.name == name).map(Symbol::Constant);
        let known_type = || self.types.iter().find(|it| it.name == name).map(Symbol::Type);
        function.or_else(constant).or_else(known_type)
    }
}

impl Registry {
    pub(crate) fn of(modules: &Modules) -> Self {
        let registered = |placed: &Placed| RegisteredVersion {
            version: placed.version.clone(),
            origin: placed.origin,
            exports: Exports::clone(&placed.exports),
        };
        let list = modules.list();
        let modules = list.all().map(|module| {
            let board = lock(&module.board);
            RegisteredModule {
                name: module.path.module.clone(),
                factory: module.factory.clone(),
                interface: module.interface,
                active: board.active.as_ref().map(registered),
                standby: board.standby.as_ref().map(registered),
            }
        });
        let mut modules: Vec<_> = modules.collect();
        modules.sort_by(|one, other| one.name.cmp(&other.name));
        Self { modules }
    }

    /// The module of this name.
    pub fn module(&self, name: &str) -> Option<&RegisteredModule> {
        self.modules.iter().find(|module| module.name == name)
    }

    /// What the active version of a module exports under a name, wherever that version is from.
    pub fn symbol(&self, module: &str, name: &str) -> Option<Symbol<'_>> {
        self.module(module)?.active.as_ref()?.exports.symbol(name)
    }
}
