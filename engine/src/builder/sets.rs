//! Declaring sets: which modules change together.

use std::sync::{Arc, Mutex};

use super::Builder;
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
}

impl Made {
    /// The place that a module has in it.
    fn membership(&self, module: &str) -> Option<Membership> {
        let place = self.names.iter().position(|name| name == module)?;
        Some(Membership { set: self.set.clone(), place })
    }

    pub(super) fn under_control(&self) -> SetMembers {
        SetMembers { set: self.set.clone(), names: self.names.clone(), board: self.board.clone() }
    }
}

/// The place that a module has in any set.
pub(super) fn membership(sets: &[Made], module: &str) -> Option<Membership> {
    sets.iter().find_map(|set| set.membership(module))
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
            if name.is_empty() || earlier.iter().any(|other| other.name == *name) {
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
                let other = other.or_else(|| members[..place].contains(&module).then(|| name.clone()));
                if let Some(other) = other {
                    return Err(SetError::MemberTwice { module, set, other }.into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn make_sets(&self, bell: &Arc<Bell>) -> Vec<Made> {
        let make = |SetDeclaration { name, members }: &SetDeclaration| {
            let status = SetStatus { name: name.clone(), members: members.clone(), ..SetStatus::default() };
            let set = Set::new(name.clone(), members.len(), bell.clone());
            Made { set: Arc::new(set), names: members.clone(), board: Arc::new(Mutex::new(status)) }
        };
        self.sets.iter().map(make).collect()
    }
}
