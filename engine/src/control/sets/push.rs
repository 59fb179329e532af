//! Pushing a set: several candidates become active versions by one publish.
//!
//! All candidates are taken through their steps side by side, each as far as it gets without anybody noticing; then all
//! hand their states over; then all are published, by one store. What fails in one of them calls the others off, whose
//! running versions hear that they serve on.

use super::{Member, Swapped, Together};
use crate::control::audit::PushRecord;
use crate::control::intake::{Origin, Taken};
use crate::control::mailbox::PushRequest;
use crate::control::module::PushBegun;
use crate::control::staged::Staged;
use crate::control::thread::Worker;
use crate::control::transition::Step;
use crate::engine::{Published, PushOutcome};
use crate::error::{PushError, SetPushError};
use crate::lock::lock;
use crate::sets::SetPushed;
use crate::status::Stages;
use crate::tell::tell;

/// A candidate of a set that was taken in, and whose place is known.
struct Candidate {
    index: usize,
    staged: Staged,
    stages: Stages,
}

impl Worker {
    /// Has several candidates become active versions of a set's modules by one publish.
    pub(in crate::control) fn push_set(
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
    pub(super) fn publish_together<B>(
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
    pub(super) fn call_off<B>(&mut self, members: Vec<Member<B>>) {
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

    /// Pushes a candidate alone. What was one with its module isn't any more, and stays.
    pub(in crate::control) fn push_member(
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
}
