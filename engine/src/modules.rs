//! The list of an engine's modules, as everybody but the control thread sees it.
//!
//! Modules are declared before the engine starts, and others come and go while it runs. So the list is immutable, and
//! replaced as a whole: who changes it copies it, and who looks has the one of that moment for as long as needed. Looking
//! takes no lock and writes nothing that other threads write, for arc-swap's guard counts the list in a place of the
//! thread's own: so a call from one module to another may look each time. (A thread that is in more than a few of such
//! calls at once, one in the other, counts the list itself.)
//!
//! A module has a number there beside its name. A name may be another module's later, with another interface; a number is
//! never given out twice.
//!
//! The control thread has a list of its own, of what it works on, and is the only one to change either. A module comes
//! onto both in one command, onto this one last, and leaves this one first.

use std::any::TypeId;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use crate::call::CallPath;
use crate::spawn::Work;
use crate::status::Board;

/// A module, as it was declared.
pub(crate) struct Declared {
    pub(crate) path: Arc<CallPath>,
    pub(crate) board: Arc<Mutex<Board>>,
    pub(crate) interface: &'static str,
    pub(crate) interface_type: TypeId,
    /// The factory that it's an instance of.
    pub(crate) factory: Option<String>,
    /// What it does in the background.
    pub(crate) work: Arc<Work>,
}

/// All modules of an engine.
#[derive(Default)]
pub(crate) struct Modules {
    list: ArcSwap<List>,
}

/// Those that there are at a moment.
#[derive(Clone, Default)]
pub(crate) struct List {
    /// In the order in which they came, which is that of their numbers.
    modules: Vec<(usize, Arc<Declared>)>,
    /// Their places in that list, by name.
    by_name: Vec<usize>,
    /// The number of the next one.
    next: usize,
}

impl Modules {
    /// The list of this moment.
    pub(crate) fn list(&self) -> impl Deref<Target = Arc<List>> {
        self.list.load()
    }

    /// The module of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Declared>> {
        self.list().named(name).map(|(_, module)| module.clone())
    }

    /// The names of all modules, for a message.
    pub(crate) fn known(&self) -> String {
        self.list().known()
    }

    /// Adds a module. Its name is new: only one thread changes the list, and it has looked.
    pub(crate) fn add(&self, declared: Declared) {
        let mut list = List::clone(&self.list());
        list.modules.push((list.next, Arc::new(declared)));
        list.next += 1;
        self.replace(list);
    }

    /// Takes a module off.
    pub(crate) fn remove(&self, name: &str) {
        let mut list = List::clone(&self.list());
        list.modules.retain(|(_, module)| module.path.module != name);
        self.replace(list);
    }

    fn replace(&self, mut list: List) {
        let mut places: Vec<_> = (0..list.modules.len()).collect();
        places.sort_by_key(|place| &*list.modules[*place].1.path.module);
        list.by_name = places;
        self.list.store(Arc::new(list));
    }
}

impl List {
    /// The module of this name, with its number.
    pub(crate) fn named(&self, name: &str) -> Option<(usize, &Arc<Declared>)> {
        let of = |place: &usize| self.modules[*place].1.path.module.as_str();
        let place = self.by_name.binary_search_by(|place| of(place).cmp(name)).ok()?;
        let (number, module) = &self.modules[self.by_name[place]];
        Some((*number, module))
    }

    /// The module with this number.
    pub(crate) fn numbered(&self, number: usize) -> Option<&Declared> {
        let place = self.modules.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.modules[place].1)
    }

    /// All of them, in the order in which they came.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Declared> {
        self.modules.iter().map(|(_, module)| &**module)
    }

    /// Their names, for a message.
    pub(crate) fn known(&self) -> String {
        let names: Vec<_> = self.all().map(|module| format!("`{}`", module.path.module)).collect();
        names.join(", ")
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
        Declared { path: Arc::new(path), board, interface: "Nothing", interface_type, factory: None, work }
    }

    #[test]
    fn what_is_found_stays_as_it_was_while_the_list_changes() {
        let modules = Modules::default();
        assert!(modules.find("chat").is_none() && modules.known().is_empty());
        modules.add(declared("logic"));
        let found = modules.find("logic").unwrap();
        let before = modules.list();
        modules.add(declared("chat"));
        modules.add(declared("net"));
        assert!(Arc::ptr_eq(&found, &modules.find("logic").unwrap()));
        assert_eq!(
            (before.known().as_str(), modules.known().as_str()),
            ("`logic`", "`logic`, `chat`, `net`")
        );
        assert!(modules.find("log").is_none());
    }

    #[test]
    fn a_name_may_come_again_and_a_number_doesnt() {
        let modules = Modules::default();
        for name in ["logic", "chat", "net"] {
            modules.add(declared(name));
        }
        let (first, _) = modules.list().named("chat").map(|(number, it)| (number, it.clone())).unwrap();
        modules.remove("chat");
        assert!(modules.find("chat").is_none() && modules.list().numbered(first).is_none());
        modules.add(declared("chat"));
        let list = modules.list();
        let (again, module) = list.named("chat").unwrap();
        assert!(again != first && list.numbered(first).is_none());
        assert!(std::ptr::eq(list.numbered(again).unwrap(), &raw const **module));
        assert_eq!(list.known(), "`logic`, `net`, `chat`");
        let weak = Arc::downgrade(module);
        drop(list);
        modules.remove("chat");
        assert!(weak.upgrade().is_none(), "nothing keeps it");
    }
}
