//! What follows once modules were swapped as one: verdicts, rollbacks and commits are of all of them.
//!
//! On probation, each of them is watched for itself. The first verdict against one takes all back, and all are committed
//! once each may be. A verdict that can't be followed now is said once, and tried again at the next look.

use super::{Member, Together};
use crate::candidate::VersionNumber;
use crate::control::Asker;
use crate::control::module::RollbackBegun;
use crate::control::thread::Worker;
use crate::control::transition::Step;
use crate::engine::Published;
use crate::error::{CommitError, PushError, RollbackError};
use crate::lock::lock;
use crate::probation::Reason;
use crate::probation::judge::Verdict;
use crate::tell::tell;

/// What became of each module that was rolled back.
type RolledBack = Vec<(usize, Published)>;

impl Worker {
    /// A push has come to a module that may be one with others: if the health of any speaks against it, all go back.
    pub(super) fn judge_before_push(&mut self, index: usize) -> Result<(), PushError> {
        let Some(together) = self.together_with(index) else {
            return self.modules[index].judge_before_push(&self.settings);
        };
        let condemned =
            together.modules.iter().find_map(|other| self.modules[*other].condemned(&self.settings));
        let Some(reason) = condemned else { return Ok(()) };
        let name = self.sets[together.set].set.name.clone();
        let done = self.roll_back_for(index, &reason, true);
        done.map_err(|error| {
            let waits_for = format!("set `{name}` is to be rolled back ({reason}), and can't be: {error}");
            PushError::Busy { waits_for }
        })
    }

    /// Has a verdict of the engine's followed, and writes that down.
    fn roll_back_for(&mut self, index: usize, reason: &Reason, is_noted: bool) -> Result<(), RollbackError> {
        let outcome = self.roll_back_all(index, reason);
        if is_noted || outcome.is_ok() {
            let asker = Asker::Engine { reason: Some(reason.to_string()) };
            return self.note_rollback(index, &asker, outcome).map(drop);
        }
        outcome.map(drop)
    }

    /// Rolls a module back, with all that are one with it.
    pub(in crate::control) fn roll_back_member(
        &mut self,
        index: usize,
        reason: &Reason,
        asker: &Asker,
    ) -> Result<Published, RollbackError> {
        let outcome = self.roll_back_all(index, reason);
        self.note_rollback(index, asker, outcome)
    }

    /// Writes a rollback down for each module, and gives what became of the one that was meant.
    fn note_rollback(
        &self,
        index: usize,
        asker: &Asker,
        outcome: Result<RolledBack, RollbackError>,
    ) -> Result<Published, RollbackError> {
        let note = |module: usize, outcome: &_| {
            self.settings.audit.rolled_back(asker, self.modules[module].name(), outcome);
        };
        let all = match outcome {
            Ok(all) => all,
            Err(error) => {
                let refused = Err(error);
                note(index, &refused);
                return refused;
            }
        };
        let mut meant = None;
        for (module, published) in all {
            let outcome = Ok(published);
            note(module, &outcome);
            meant = if module == index { Some(outcome) } else { meant };
        }
        meant.expect("it's one of them")
    }

    fn roll_back_all(&mut self, index: usize, reason: &Reason) -> Result<RolledBack, RollbackError> {
        let Some(together) = self.together_with(index) else {
            let published = self.modules[index].rollback(reason.clone(), &self.settings)?;
            return Ok(vec![(index, published)]);
        };
        self.roll_back_together(&together, reason).map_err(|(other, source)| {
            let (set, module) =
                (self.sets[together.set].set.name.clone(), self.modules[other].name().to_owned());
            RollbackError::InSet { set, module, source }
        })
    }

    /// An error comes with the module that it's about.
    fn roll_back_together(
        &mut self,
        Together { set, modules }: &Together,
        reason: &Reason,
    ) -> Result<RolledBack, (usize, Box<RollbackError>)> {
        let mut members: Vec<Member<RollbackBegun>> = Vec::new();
        for index in modules.iter().copied() {
            match self.modules[index].begin_rollback(Some(Step::HandOver), &self.settings) {
                Ok(begun) => members.push(Member { index, begun, has_handed_over: false }),
                Err(error) => {
                    self.call_off(members);
                    return Err((index, error.into()));
                }
            }
        }
        let members = self.publish_together(*set, members);
        let members = members.map_err(|(at, error)| (modules[at], Box::new((*error).into())))?;
        let name = self.sets[*set].set.name.clone();
        let all = members.into_iter().map(|Member { index, begun, .. }| {
            let published = self.modules[index].end_rollback(begun, reason.clone(), &self.settings);
            (index, Published { set: Some(name.clone()), ..published })
        });
        let all = all.collect();
        tell(|| tracing::info!(set = name, modules = self.names(modules), "rolled back as one"));
        let known = &mut self.sets[*set];
        known.swaps.pop();
        lock(&known.board).swaps.rolled_back += 1;
        Ok(all)
    }

    /// Commits a module, with all that are one with it. Gives the version of the module that stays.
    pub(in crate::control) fn commit_member(
        &mut self,
        index: usize,
        asker: &Asker,
    ) -> Result<VersionNumber, CommitError> {
        let together = self.together_with(index);
        let modules = together.as_ref().map_or_else(|| vec![index], |together| together.modules.clone());
        let mut asked_for = None;
        for other in modules {
            let module = &mut self.modules[other];
            // One that could be committed where another couldn't was committed the last time.
            if other != index && !module.has_standby() {
                continue;
            }
            let outcome = module.commit(&self.settings);
            self.settings.audit.committed(asker, module.name(), &outcome);
            match outcome {
                Err(error) if other != index => return Err(error),
                outcome if other == index => asked_for = Some(outcome),
                _ => {}
            }
        }
        if let (Some(Together { set, .. }), Some(Ok(_))) = (together, &asked_for) {
            lock(&self.sets[set].board).swaps.committed += 1;
        }
        asked_for.expect("it's one of them")
    }

    /// Says to each module whether its set acts on what is found against it; and what is one, to the status.
    pub(in crate::control) fn defer_to_sets(&mut self) {
        for set in 0..self.sets.len() {
            let together = self.together_in(set).unwrap_or_default();
            for member in self.sets[set].members.clone() {
                self.modules[member].set_deferred(together.contains(&member));
            }
            let names = together.iter().map(|index| self.modules[*index].name().to_owned()).collect();
            lock(&self.sets[set].board).together = names;
        }
    }

    /// Follows the verdicts on what is one: the first against one of them is against all; all are committed once each
    /// may be.
    pub(in crate::control) fn tend_sets(&mut self) {
        for set in 0..self.sets.len() {
            let Some(modules) = self.together_in(set) else { continue };
            let verdicts = modules.iter().map(|index| (*index, self.modules[*index].deferred()));
            let against = verdicts.clone().find_map(|(index, verdict)| match verdict {
                Some(Verdict::RollBack(reason)) => Some((index, reason.clone())),
                _ => None,
            });
            // One that had no predecessor isn't on probation.
            let mut watched = verdicts.filter(|(index, _)| self.modules[*index].has_standby()).peekable();
            let is_over = watched.peek().is_some()
                && watched.all(|(_, verdict)| matches!(verdict, Some(Verdict::Commit)));
            let is_told = self.sets[set].is_told;
            let done = match against {
                Some((index, reason)) => self.roll_back_for(index, &reason, !is_told).map_err(|error| {
                    format!("it is to be rolled back ({reason}), and can't be now: {error}")
                }),
                None if is_over => self
                    .commit_member(modules[0], &Asker::Engine { reason: None })
                    .map(drop)
                    .map_err(|error| format!("it is to be committed, and can't be now: {error}")),
                None => Ok(()),
            };
            // It's tried again at the next look at one of them.
            let Err(error) = done else { continue };
            modules.iter().for_each(|index| self.modules[*index].forget_deferred());
            let known = &mut self.sets[set];
            if !std::mem::replace(&mut known.is_told, true) {
                let set = &known.set.name;
                tell(|| tracing::error!(set, "the set on probation: {error}"));
            }
        }
    }
}
