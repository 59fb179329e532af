//! Declaring sets: which modules change together.

use std::sync::{Arc, Mutex};

use super::{Builder, Declaration};
use crate::call::Bell;
use crate::call::set::{Membership, Set};
use crate::control::SetMembers;
use crate::error::{BuildError, SetError};
use crate::sets::SetStatus;

/// A set, as it was declared.
pub(super) struct SetDeclaration {
    name: String,
    members: Vec<String>,
}

/// A set that was made.
pub(super) struct Made {
    set: Arc<Set>,
    names: Vec<String>,
    pub(super) board: Arc<Mutex<SetStatus>>,
    /// The factory whose instances are its members, if it's of one.
    factory: Option<Declaration>,
}

impl Made {
    pub(super) fn under_control(&self) -> SetMembers {
        let (set, names, board) = (self.set.clone(), self.names.clone(), self.board.clone());
        SetMembers { set, names, board, factory: self.factory.clone() }
    }
}

/// Has a module join the set that it's of, if it's of any.
pub(super) fn join(sets: &[Made], Declaration { name, factory, .. }: &Declaration) -> Option<Membership> {
    let is_its = |made: &&Made| match (&made.factory, factory) {
        (Some(of), Some(factory)) => of.name == *factory,
        (None, None) => made.names.contains(name),
        _ => false,
    };
    sets.iter().find(is_its).map(|made| made.set.join())
}

impl Builder {
    /// Declares a set: modules that change together. Whatever is published for any of them, alone or as [one
    /// push](crate::Engine::push_set), a unit of work sees the versions of one moment: from the first member that it enters
    /// until it has left the last, each member that it enters meanwhile has the version that it had then.
    ///
    /// A call of a module in a set costs a few nanoseconds more; other modules pay nothing.
    ///
    /// Two members at least; a module may be in one set at most. [`build`](Self::build) refuses others.
    pub fn set(
        mut self,
        name: impl Into<String>,
        members: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let members = members.into_iter().map(Into::into).collect();
        self.sets.push(SetDeclaration { name: name.into(), members });
        self
    }

    pub(super) fn check_sets(&self) -> Result<(), BuildError> {
        let known: Vec<_> = self.modules.iter().map(|module| format!("`{}`", module.name)).collect();
        for (index, SetDeclaration { name, members }) in self.sets.iter().enumerate() {
            let (set, earlier) = (name.clone(), &self.sets[..index]);
            let is_factory = self.factories.iter().any(|factory| factory.name == *name);
            if name.is_empty() || is_factory || earlier.iter().any(|other| other.name == *name) {
                return Err(SetError::BadName { set }.into());
            }
            if members.len() < 2 {
                return Err(SetError::TooFew { set, found: members.len() }.into());
            }
            for (place, module) in members.iter().enumerate() {
                let module = module.clone();
                if !self.modules.iter().any(|known| known.name == module) {
                    return Err(SetError::UnknownMember { set, module, known: known.join(", ") }.into());
                }
                let other = earlier.iter().find(|other| other.members.contains(&module));
                let other = other.map(|other| other.name.clone());
                let factory = || self.modules.iter().find(|known| known.name == module)?.factory.clone();
                let other = other.or_else(factory);
                let other = other.or_else(|| members[..place].contains(&module).then(|| name.clone()));
                if let Some(other) = other {
                    return Err(SetError::MemberTwice { module, set, other }.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn make_sets(&self, bell: &Arc<Bell>) -> Vec<Made> {
        let make = |name: &str, members: Vec<String>, factory: Option<&Declaration>| {
            let status =
                SetStatus { name: name.to_owned(), members: members.clone(), ..SetStatus::default() };
            let set = Set::new(name.to_owned(), bell.clone());
            let board = Arc::new(Mutex::new(status));
            Made { set: Arc::new(set), names: members, board, factory: factory.cloned() }
        };
        let declared = self.sets.iter().map(|set| make(&set.name, set.members.clone(), None));
        let of_factories = self.factories.iter().map(|factory| {
            let instances = self.modules.iter().filter(|it| it.factory.as_ref() == Some(&factory.name));
            make(&factory.name, instances.map(|it| it.name.clone()).collect(), Some(factory))
        });
        declared.chain(of_factories).collect()
    }
}
