//! The list of an engine's modules, as everybody but the control thread sees it.
//!
//! Modules are declared before the engine starts, and some are found while it runs. So the list grows, and nothing ever
//! leaves it: what is found there stays as long as the list. Each place leads to the next one, which is set once. So
//! looking takes no lock and writes nothing, and a call from one module to another may look each time.
//!
//! The control thread has a list of its own, of what it works on; a module comes onto both in one command, onto this one
//! last.

use std::any::TypeId;
use std::iter::successors;
use std::sync::{Arc, Mutex, OnceLock};

use crate::call::CallPath;
use crate::spawn::Work;
use crate::status::Board;

/// A module, as it was declared.
pub(crate) struct Declared {
    pub(crate) path: Arc<CallPath>,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) interface: &'static str,
    pub(crate) interface_type: TypeId,
    /// What it does in the background.
    pub(crate) work: Arc<Work>,
}

/// All modules of an engine, in the order in which they came.
#[derive(Default)]
pub(crate) struct Modules {
    first: OnceLock<Box<Place>>,
}

struct Place {
    module: Declared,
    next: OnceLock<Box<Place>>,
}

impl Modules {
    /// The module of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<&Declared> {
        self.all().find(|module| module.path.module == name)
    }

    /// Those that there are now.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Declared> {
        successors(self.first.get(), |place| place.next.get()).map(|place| &place.module)
    }

    /// The names of all modules, for a message.
    pub(crate) fn known(&self) -> String {
        let names: Vec<_> = self.all().map(|module| format!("`{}`", module.path.module)).collect();
        names.join(", ")
    }

    /// Adds a module. Its name is new: only one thread adds any, and it has looked.
    pub(crate) fn add(&self, declared: Declared) {
        let last = successors(self.first.get(), |place| place.next.get()).last();
        let end = last.map_or(&self.first, |last| &last.next);
        let mut place = Some(Box::new(Place { module: declared, next: OnceLock::new() }));
        // Nobody else adds, so the end is still where it was.
        end.get_or_init(|| place.take().expect("it's used once"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Bell;
    use crate::call::suspicion::SuspectPolicy;
    use crate::spawn::{Bounds, Jobs};

    fn declared(name: &str) -> Declared {
        let path = CallPath::new(name.to_owned(), &[], Arc::new(Bell::new()), SuspectPolicy::default());
        let (board, interface_type) = (Arc::default(), TypeId::of::<()>());
        let work = Jobs::new(Bounds { running_max: 1, waiting_max: 0 }, 0).add_module(name, None);
        Declared { path: Arc::new(path), board, interface: "Nothing", interface_type, work }
    }

    #[test]
    fn what_is_found_stays_while_the_list_grows() {
        let modules = Modules::default();
        assert!(modules.find("chat").is_none() && modules.known().is_empty());
        modules.add(declared("logic"));
        let found = modules.find("logic").unwrap();
        modules.add(declared("chat"));
        modules.add(declared("net"));
        assert!(std::ptr::eq(found, modules.find("logic").unwrap()));
        assert_eq!(modules.known(), "`logic`, `chat`, `net`");
        assert!(modules.find("log").is_none());
    }
}
