//! Sets under control: several modules swapped as one, watched as one, rolled back and committed as one.
//!
//! What was swapped as one stays one: as long as each of these modules has the version that it got then, a rollback or a
//! commit of one is a rollback or a commit of all, and the first verdict against one is a verdict against all. It ends
//! when one of them is pushed alone, which commits the others with it; once that push was taken back, it's one again.
//!
//! How they are pushed as one is in `push`; what follows from that, in `verdict`.
//!
//! The instances of a factory are a set as well, whose members come and go (`instances`), and are always one: a candidate of
//! the factory is pushed for all of them (`factory`).

mod factory;
mod instances;
mod push;
mod verdict;

use std::sync::{Arc, Mutex};

use super::module::Module;
use super::thread::Worker;
use crate::builder::Declaration;
use crate::call::set::Set;
use crate::candidate::Digest;
use crate::lifecycle::graph::move_up;
use crate::lock::lock;
use crate::sets::SetStatus;
use factory::Factory;

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
    /// The factory whose instances are its members, if it's of one.
    factory: Option<Factory>,
}

/// A set, and what its members are called.
pub(crate) struct SetMembers {
    pub(crate) set: Arc<Set>,
    pub(crate) names: Vec<String>,
    pub(crate) board: Arc<Mutex<SetStatus>>,
    pub(crate) factory: Option<Declaration>,
}

impl ModuleSet {
    pub(super) fn new(SetMembers { set, names, board, factory }: SetMembers, modules: &[Module]) -> Self {
        let position = |name: &String| modules.iter().position(|module| module.name() == name);
        let members = names.iter().filter_map(position).collect();
        let factory = factory.map(Factory::new);
        Self { set, members, board, swaps: Vec::new(), is_told: false, factory }
    }

    /// A module that no other requires is gone. Those behind it move up.
    fn remove(&mut self, index: usize, name: &str) {
        move_up(&mut self.members, index);
        lock(&self.board).members.retain(|member| member != name);
        for swapped in &mut self.swaps {
            swapped.retain(|(other, _)| *other != index);
            swapped.iter_mut().filter(|(other, _)| *other > index).for_each(|(other, _)| *other -= 1);
        }
        if let Some(factory) = &mut self.factory {
            factory.remove(index);
        }
    }

    /// Whether a member has joined the others when these were on probation already.
    fn is_late(&self, index: usize) -> bool {
        self.factory.as_ref().is_some_and(|factory| factory.is_late(index))
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
        if self.sets[set].factory.is_some() {
            return self.serving_instances(set);
        }
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
