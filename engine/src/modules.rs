//! The list of an engine's modules, as everybody but the control thread sees it.
//!
//! Modules are declared before the engine starts, and some are found while it runs. So the list grows, and nothing ever
//! leaves it: whoever has found a module may keep what it found. It is locked only for as long as it takes to look, and no
//! code of anybody else's runs meanwhile. The control thread has a list of its own, of what it works on; a module comes
//! onto both in one command, onto this one last.

use std::any::TypeId;
use std::sync::{Arc, Mutex};

use crate::call::CallPath;
use crate::lock::lock;
use crate::status::Board;

/// A module, as it was declared.
pub(crate) struct Declared {
    pub(crate) path: Arc<CallPath>,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) interface: &'static str,
    pub(crate) interface_type: TypeId,
}

/// All modules of an engine, in the order in which they came.
#[derive(Default)]
pub(crate) struct Modules(Mutex<Vec<Arc<Declared>>>);

impl Modules {
    pub(crate) fn new(declared: impl IntoIterator<Item = Declared>) -> Self {
        Self(Mutex::new(declared.into_iter().map(Arc::new).collect()))
    }

    /// The module of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Declared>> {
        lock(&self.0).iter().find(|module| module.path.module == name).cloned()
    }

    /// Those that there are now.
    pub(crate) fn all(&self) -> Vec<Arc<Declared>> {
        lock(&self.0).clone()
    }

    /// The names of all modules, for a message.
    pub(crate) fn known(&self) -> String {
        let names: Vec<_> = self.all().iter().map(|module| format!("`{}`", module.path.module)).collect();
        names.join(", ")
    }

    /// Adds a module. Its name is new: only the control thread adds any, and it has looked.
    pub(crate) fn add(&self, declared: Declared) {
        lock(&self.0).push(Arc::new(declared));
    }
}
