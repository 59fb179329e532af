//! Sets under control: several modules swapped as one, watched as one, rolled back and committed as one.
//!
//! What was swapped as one stays one: as long as each of these modules has the version that it got then, a rollback or a
//! commit of one is a rollback or a commit of all, and the first verdict against one is a verdict against all. It ends
//! when one of them is pushed alone, which commits the others with it; once that push was taken back, it's one again.
//!
//! How they are pushed as one is in `push`; what follows from that, in `verdict`.

mod push;
mod verdict;

use std::sync::{Arc, Mutex};

use super::module::Module;
use super::thread::Worker;
use crate::call::set::Set;
use crate::candidate::Digest;
use crate::sets::SetStatus;

/// Modules that can be swapped as one.
pub(crate) struct ModuleSet {
    set: Arc<Set>,
    /// Their places among all modules.
    members: Vec<usize>,
    board: Arc<Mutex<SetStatus>>,
    /// The swaps of several of them that can be taken back, the latest last.
    swaps: Vec<Swapped>,
    /// That a verdict could not be followed was said.
    is_told: bool,
}

/// A set, and what its members are called.
pub(crate) struct SetMembers {
    pub(crate) set: Arc<Set>,
    pub(crate) names: Vec<String>,
    pub(crate) board: Arc<Mutex<SetStatus>>,
}

impl ModuleSet {
    pub(super) fn new(SetMembers { set, names, board }: SetMembers, modules: &[Module]) -> Self {
        let position = |name: &String| modules.iter().position(|module| module.name() == name);
        let members = names.iter().filter_map(position).collect();
        Self { set, members, board, swaps: Vec::new(), is_told: false }
    }
}

/// What each module of a swap has got.
type Swapped = Vec<(usize, Digest)>;

/// Some modules of a set that are one at present.
struct Together {
    set: usize,
    modules: Vec<usize>,
}

/// How far a member has come in a swap with others.
struct Member<B> {
    index: usize,
    begun: B,
    has_handed_over: bool,
}

impl Worker {
    /// The modules that are one with this one at present: it isn't among them if it's on its own.
    fn together_with(&self, index: usize) -> Option<Together> {
        let set = self.sets.iter().position(|set| set.members.contains(&index))?;
        let modules = self.together_in(set)?;
        modules.contains(&index).then_some(Together { set, modules })
    }

    /// Those modules of a set that were swapped as one, and still have what they got then.
    fn together_in(&self, set: usize) -> Option<Vec<usize>> {
        let swapped = self.sets[set].swaps.last()?;
        let is_same =
            |(index, digest): &(usize, Digest)| self.modules[*index].active_digest() == Some(*digest);
        let is_one = swapped.len() > 1 && swapped.iter().all(is_same);
        is_one.then(|| swapped.iter().map(|(index, _)| *index).collect())
    }

    fn names(&self, modules: &[usize]) -> String {
        let names: Vec<_> = modules.iter().map(|index| self.modules[*index].name()).collect();
        names.join(", ")
    }
}
