//! Sets under control: several modules swapped as one, watched as one, rolled back and committed as one.
//!
//! A push of a set takes all candidates through their steps side by side, each as far as it gets without anybody
//! noticing; then all hand their states over; then all are published, by one store. What fails in one of them calls the
//! others off, whose running versions hear that they serve on.
//!
//! What was swapped as one stays one: as long as each of these modules has the version that it got then, a rollback or a
//! commit of one is a rollback or a commit of all, and the first verdict against one is a verdict against all. It ends
//! when one of them is pushed alone, which commits the others with it; once that push was taken back, it's one again.

use std::sync::{Arc, Mutex};

use super::Asker;
use super::audit::PushRecord;
use super::intake::{Origin, Taken};
use super::mailbox::PushRequest;
use super::module::{Module, PushBegun, RollbackBegun};
use super::staged::Staged;
use super::thread::Worker;
use super::transition::Step;
use crate::call::set::Set;
use crate::candidate::{Digest, VersionNumber};
use crate::engine::{Published, PushOutcome};
use crate::error::{CommitError, PushError, RollbackError, SetPushError};
use crate::lock::lock;
use crate::probation::Reason;
use crate::probation::judge::Verdict;
use crate::sets::{SetPushed, SetStatus};
use crate::status::Stages;
use crate::tell::tell;

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

/// What became of each module that was rolled back.
type RolledBack = Vec<(usize, Published)>;

/// Some modules of a set that are one at present.
struct Together {
    set: usize,
    modules: Vec<usize>,
}

/// A candidate of a set that was taken in, and whose place is known.
struct Candidate {
    index: usize,
    staged: Staged,
    stages: Stages,
}

/// How far a member has come in a swap with others.
struct Member<B> {
    index: usize,
    begun: B,
    has_handed_over: bool,
}

impl Worker {
    /// Has several candidates become active versions of a set's modules by one publish.
    pub(super) fn push_set(
        &mut self,
        set: &str,
        requests: &[PushRequest],
    ) -> Result<SetPushed, SetPushError> {
        self.while_busy(format!("set `{set}` is being pushed"), |thread| {
            let mut records: Vec<_> = requests.iter().map(|_| thread.settings.audit.begin_push()).collect();
            let outcome = thread.push_together(set, requests, &mut records);
            thread.note_push(set, requests, &records, &outcome);
            thread.note_withdrawn();
            outcome
        })
    }

    fn push_together(
        &mut self,
        name: &str,
        requests: &[PushRequest],
        records: &mut [PushRecord],
    ) -> Result<SetPushed, SetPushError> {
        let Some(set) = self.sets.iter().position(|known| known.set.name == name) else {
            let known: Vec<_> = self.sets.iter().map(|known| format!("`{}`", known.set.name)).collect();
            return Err(SetPushError::Unknown { set: name.to_owned(), known: known.join(", ") });
        };
        let refused = |candidate: &PushRequest, source: Box<PushError>| SetPushError::Refused {
            set: name.to_owned(),
            candidate: candidate.candidate.name(),
            source,
        };
        let (mut outcomes, mut candidates, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (request, record)) in requests.iter().zip(records).enumerate() {
            let file = request.candidate.name();
            let stage = |_: &mut Self, staged: Staged, stages| Ok(Some((staged, stages)));
            let taken = self.take_in(request, &file, Origin::Asked, record, stage);
            let taken = taken.map_err(|error| refused(request, Box::new(error)))?;
            let module = match taken.expect("only what a watched folder offers is passed over") {
                Taken::Unchanged { module, version } => {
                    outcomes.push(Some(PushOutcome::Unchanged { module: module.clone(), version }));
                    module
                }
                Taken::Handed((staged, stages)) => {
                    outcomes.push(None);
                    let module = staged.module().to_owned();
                    let index = self.position(&module);
                    let index = index.ok_or_else(|| refused(request, Box::new(self.unknown(&module))))?;
                    candidates.push((place, Candidate { index, staged, stages }));
                    module
                }
            };
            self.check_member(set, &module, &seen)?;
            seen.push(module);
        }
        // What is required comes first.
        candidates.sort_by_key(|(_, candidate)| candidate.index);
        let (places, candidates): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
        let indices: Vec<_> = candidates.iter().map(|candidate| candidate.index).collect();
        let published = self.swap_together(set, candidates).map_err(|(at, error)| {
            indices.iter().for_each(|index| self.modules[*index].count_refused());
            refused(&requests[places[at]], error)
        })?;
        for (place, published) in places.into_iter().zip(published) {
            outcomes[place] = Some(PushOutcome::Published(published));
        }
        Ok(SetPushed { set: name.to_owned(), members: outcomes.into_iter().flatten().collect() })
    }

    fn check_member(&self, set: usize, module: &str, seen: &[String]) -> Result<(), SetPushError> {
        let set = &self.sets[set];
        let name = || set.set.name.clone();
        if !set.members.iter().any(|member| self.modules[*member].name() == module) {
            let members: Vec<_> =
                set.members.iter().map(|member| format!("`{}`", self.modules[*member].name())).collect();
            let members = members.join(", ");
            return Err(SetPushError::NotAMember { set: name(), module: module.to_owned(), members });
        }
        if seen.iter().any(|other| other == module) {
            return Err(SetPushError::Twice { set: name(), module: module.to_owned() });
        }
        Ok(())
    }

    /// Takes candidates through all steps. An error comes with the number of the candidate that it's about.
    fn swap_together(
        &mut self,
        set: usize,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<Published>, (usize, Box<PushError>)> {
        let retiring = candidates.len().saturating_sub(1);
        let limit = self.settings.retained_max.saturating_sub(retiring);
        self.reaper.has_room(limit).map_err(|error| (0, error.into()))?;
        let all: Vec<_> = candidates.iter().map(|candidate| candidate.index).collect();
        for (at, candidate) in candidates.iter().enumerate() {
            self.may_come_with(candidate.index, &all).map_err(|error| (at, Box::new(error.into())))?;
            self.judge_before_push(candidate.index).map_err(|error| (at, error.into()))?;
        }
        let indices: Vec<_> = candidates.iter().map(|candidate| candidate.index).collect();
        let before = indices.iter().find_map(|index| self.together_with(*index));
        let mut members: Vec<Member<PushBegun>> = Vec::new();
        for (at, Candidate { index, staged, stages }) in candidates.into_iter().enumerate() {
            let module = &mut self.modules[index];
            match module.begin_push(staged, stages, Some(Step::HandOver), &self.settings) {
                Ok(begun) => members.push(Member { index, begun, has_handed_over: false }),
                Err(error) => {
                    self.call_off(members);
                    return Err((at, error.into()));
                }
            }
        }
        let members = self.publish_together(set, members)?;
        let name = self.sets[set].set.name.clone();
        let published = members.into_iter().map(|Member { index, begun, .. }| {
            let published = self.modules[index].end_push(begun, &self.settings);
            Published { set: Some(name.clone()), ..published }
        });
        let published = published.collect();
        self.commit_left_behind(before, &indices);
        self.note_initialized();
        if !indices.is_empty() {
            tell(|| tracing::info!(set = name, modules = self.names(&indices), "published as one"));
            self.note_swap(set, &indices);
        }
        Ok(published)
    }

    /// Has each member hand its state over, and then publishes all by one store. If one fails, all are called off.
    fn publish_together<B>(
        &mut self,
        set: usize,
        mut members: Vec<Member<B>>,
    ) -> Result<Vec<Member<B>>, (usize, Box<PushError>)> {
        let held = self.sets[set].set.hold();
        for at in 0..members.len() {
            let index = members[at].index;
            if let Err(error) = self.modules[index].hand_over_with_set(&self.settings) {
                // Its own swap has ended already.
                members.remove(at);
                self.call_off(members);
                return Err((at, error.into()));
            }
            members[at].has_handed_over = true;
        }
        for member in &members {
            self.modules[member.index].publish_with_set(&self.settings);
        }
        drop(held);
        Ok(members)
    }

    /// Ends swaps that were to be one with another that has failed; the last first, as they came.
    fn call_off<B>(&mut self, members: Vec<Member<B>>) {
        for Member { index, has_handed_over, .. } in members.into_iter().rev() {
            self.modules[index].call_off(has_handed_over, &self.settings);
        }
    }

    fn note_swap(&mut self, set: usize, indices: &[usize]) {
        let swapped =
            indices.iter().filter_map(|index| Some((*index, self.modules[*index].active_digest()?)));
        let swapped: Swapped = swapped.collect();
        let known = &mut self.sets[set];
        known.swaps.push(swapped);
        let surplus = known.swaps.len().saturating_sub(self.settings.kept_max.max(1));
        known.swaps.drain(..surplus);
        lock(&known.board).swaps.published += 1;
        known.is_told = false;
    }

    /// Writes down what became of the push of a set: a line for each candidate.
    fn note_push(
        &self,
        set: &str,
        requests: &[PushRequest],
        records: &[PushRecord],
        outcome: &Result<SetPushed, SetPushError>,
    ) {
        if let Err(error) = outcome {
            tell(|| tracing::warn!(set, code = error.code(), "refused: {error}"));
            if let Some(known) = self.sets.iter().find(|known| known.set.name == set) {
                lock(&known.board).swaps.refused += 1;
            }
        }
        for (place, (request, record)) in requests.iter().zip(records).enumerate() {
            match outcome {
                Ok(pushed) => {
                    let pushed = Ok(pushed.members.get(place).cloned());
                    self.settings.audit.pushed(request, record, &pushed);
                }
                Err(error) => self.settings.audit.set_refused(request, record, error),
            }
        }
    }

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

    /// Pushes a candidate alone. What was one with its module isn't any more, and stays.
    pub(super) fn push_member(
        &mut self,
        index: usize,
        staged: Staged,
        stages: Stages,
    ) -> Result<Published, PushError> {
        self.judge_before_push(index)?;
        let together = self.together_with(index);
        let published = self.modules[index].push(staged, stages, &self.settings)?;
        self.commit_left_behind(together, &[index]);
        Ok(published)
    }

    /// Some of what was one have new versions. The predecessors of the others were to serve beside those that these
    /// have just committed.
    fn commit_left_behind(&mut self, together: Option<Together>, moved_on: &[usize]) {
        for other in together.into_iter().flat_map(|it| it.modules) {
            let module = &mut self.modules[other];
            if !moved_on.contains(&other)
                && module.has_standby()
                && let Err(error) = module.commit(&self.settings)
            {
                let module = module.name();
                tell(|| tracing::error!(module, "it can't be committed with its set: {error}"));
            }
        }
    }

    /// A push has come to a module that may be one with others: if the health of any speaks against it, all go back.
    fn judge_before_push(&mut self, index: usize) -> Result<(), PushError> {
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
    pub(super) fn roll_back_member(
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
    pub(super) fn commit_member(
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
    pub(super) fn defer_to_sets(&mut self) {
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
    pub(super) fn tend_sets(&mut self) {
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
