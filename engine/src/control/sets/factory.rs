//! Factories under control: a candidate of a factory becomes the version of all its instances, or of none.
//!
//! The instances of a factory always have one version, so they are one without anybody noting it; only one that was
//! stopped keeps what it had. What they have, and what they could return to, the factory keeps as well: the next instance
//! begins with it. Without any instance, a candidate is compared with the factory's interface, and kept.
//!
//! Each instance gets a copy of the library of its own, since the loader gives one file one set of statics.

use std::sync::Arc;

use super::push::Candidate;
use crate::builder::Declaration;
use crate::candidate::accept::Source;
use crate::candidate::private::PrivateCopy;
use crate::candidate::{Digest, VerifyError, VersionNumber, verify};
use crate::control::Settings;
use crate::control::intake::stage;
use crate::control::mailbox::Allowed;
use crate::control::module::Module;
use crate::control::staged::Staged;
use crate::control::thread::Worker;
use crate::engine::PushOutcome;
use crate::error::PushError;
use crate::lifecycle::LifecyclePhase;
use crate::lifecycle::graph::move_up;
use crate::lock::lock;
use crate::sets::SetPushed;
use crate::status::Stages;
use crate::tell::tell;

/// What is known of a factory, beside its set.
pub(super) struct Factory {
    pub(super) declaration: Declaration,
    current: Option<Current>,
    /// What its instances can return to, the latest last.
    lineage: Vec<Arc<PrivateCopy>>,
    /// The instances that came when the others were on probation. The end of that doesn't wait for them.
    late: Vec<usize>,
}

/// What all instances have, and the next one begins with.
#[derive(Clone)]
struct Current {
    copy: Arc<PrivateCopy>,
    version: VersionNumber,
}

/// What an instance begins with, as its siblings did.
pub(super) struct Beginning {
    first: Arc<PrivateCopy>,
    /// What the first is replaced by at once, if the siblings' predecessors could still take over.
    then: Option<Arc<PrivateCopy>>,
    lineage: Vec<Arc<PrivateCopy>>,
}

impl Factory {
    pub(super) fn new(declaration: Declaration) -> Self {
        Self { declaration, current: None, lineage: Vec::new(), late: Vec::new() }
    }

    pub(super) fn is_late(&self, index: usize) -> bool {
        self.late.contains(&index)
    }

    pub(super) fn note_late(&mut self, index: usize) {
        self.late.push(index);
    }

    pub(super) fn remove(&mut self, index: usize) {
        move_up(&mut self.late, index);
    }

    /// Whether the candidate could be a version of its instances, as far as that can be told without one.
    fn verify(&self, staged: &Staged) -> Result<(), PushError> {
        let (manifest, version) = (&staged.readable.manifest, &staged.readable.version);
        verify::interface(manifest, self.declaration.interface(), self.declaration.methods())?;
        let Some(Current { copy, version: current }) = &self.current else { return Ok(()) };
        if version == current {
            let (version, found, expected) = (version.clone(), staged.digest(), copy.digest);
            return Err(VerifyError::ConflictingVersion { version, found, expected }.into());
        }
        if version < current && !staged.allowed.older {
            let (found, active) = (version.clone(), current.clone());
            return Err(VerifyError::OlderVersion { found, active }.into());
        }
        Ok(())
    }
}

impl Beginning {
    /// Has a module that has no version begin with it. True if it's on probation then.
    pub(super) fn take(self, module: &mut Module, settings: &Settings) -> Result<bool, PushError> {
        let is_late = self.then.is_some();
        for copy in [Some(self.first), self.then].into_iter().flatten() {
            // Whatever had to be allowed for its siblings was.
            let allowed = Allowed { older: true, one_way: true, ..Allowed::default() };
            let (staged, stages) = stage(settings, Source::Kept(&copy), None, allowed)?;
            module.push(staged, stages, settings)?;
        }
        module.inherit(&self.lineage);
        Ok(is_late)
    }
}

impl Worker {
    /// The set of the factory's instances, if there is a factory of this name.
    pub(in crate::control) fn factory(&self, name: &str) -> Option<usize> {
        self.sets.iter().position(|set| set.factory.is_some() && set.set.name == name)
    }

    /// The set of a module's siblings, if it's an instance.
    pub(super) fn siblings(&self, index: usize) -> Option<usize> {
        self.factory(self.modules[index].factory()?)
    }

    /// The version that a factory's instances have.
    pub(in crate::control) fn factory_version(&self, set: usize) -> Option<&VersionNumber> {
        self.sets[set].factory.as_ref()?.current.as_ref().map(|current| &current.version)
    }

    /// The factory whose instances have this very content, and its version.
    pub(in crate::control) fn factory_with(&self, digest: Digest) -> Option<(String, VersionNumber)> {
        self.sets.iter().find_map(|set| {
            let current = set.factory.as_ref()?.current.as_ref().filter(|it| it.copy.digest == digest)?;
            Some((set.set.name.clone(), current.version.clone()))
        })
    }

    /// When a factory's candidate is due in a look through the folders: with its last instance, since what that requires
    /// comes before.
    pub(in crate::control) fn place_of_factory(&self, set: usize) -> usize {
        self.sets[set].members.iter().copied().max().unwrap_or(self.modules.len())
    }

    pub(in crate::control) fn count_refused_of(&self, set: usize) {
        lock(&self.sets[set].board).swaps.refused += 1;
    }

    /// The instances of a factory that have a version and get each next one; none if there is no such instance.
    pub(super) fn serving_instances(&self, set: usize) -> Option<Vec<usize>> {
        let serves = |index: &usize| {
            let module = &self.modules[*index];
            module.can_be_published() && !module.is_empty()
        };
        let serving: Vec<_> = self.sets[set].members.iter().copied().filter(serves).collect();
        (!serving.is_empty()).then_some(serving)
    }

    /// One of them, for what is asked for by the factory's name.
    pub(in crate::control) fn any_instance(&self, set: usize) -> Option<usize> {
        self.serving_instances(set).map(|serving| serving[0])
    }

    /// Keeps what the instances have now, for those that are to come. Nothing happens if it's no factory's set.
    pub(super) fn note_current(&mut self, set: usize) {
        let any = self.any_instance(set).map(|index| &self.modules[index]);
        let current =
            any.and_then(|any| Some((any.active_copy()?, any.active_number()?, any.lineage().to_vec())));
        let (Some((copy, version, lineage)), Some(factory)) = (current, &mut self.sets[set].factory) else {
            return;
        };
        factory.late.clear();
        factory.lineage = lineage;
        factory.current = Some(Current { copy, version });
        self.show_candidate(set);
    }

    fn show_candidate(&self, set: usize) {
        lock(&self.sets[set].board).candidate = self.factory_version(set).cloned();
    }

    /// Pushes a candidate of a factory: for all instances, or none. Without any that could take it, it's kept.
    pub(in crate::control) fn push_factory(
        &mut self,
        set: usize,
        staged: Staged,
        stages: Stages,
    ) -> Result<PushOutcome, PushError> {
        let Some(factory) = &self.sets[set].factory else { return Err(self.unknown(staged.module())) };
        factory.verify(&staged)?;
        let takers = self.takers(set);
        if takers.is_empty() {
            return Ok(self.keep(set, &staged));
        }
        let (copy, allowed) = (staged.copy.clone(), staged.allowed);
        let mut candidates = vec![Candidate { index: takers[0], staged, stages }];
        for index in takers[1..].iter().copied() {
            let (staged, stages) = stage(&self.settings, Source::Kept(&copy), None, allowed)?;
            candidates.push(Candidate { index, staged, stages });
        }
        let published = self.swap_together(set, candidates).map_err(|(at, source)| {
            self.modules[takers[at]].count_refused();
            let (factory, instance) =
                (self.sets[set].set.name.clone(), self.modules[takers[at]].name().to_owned());
            PushError::Instance { factory, instance, source }
        })?;
        let members = published.into_iter().map(PushOutcome::Published).collect();
        Ok(PushOutcome::Set(SetPushed { set: self.sets[set].set.name.clone(), members }))
    }

    /// The instances that get a candidate now: not those that were stopped, nor those that wait for what they require, or
    /// for the host.
    fn takers(&self, set: usize) -> Vec<usize> {
        let is_ready = |index: &usize| {
            let module = &self.modules[*index];
            let waits = self.starts_by_hand() && module.lifecycle() == LifecyclePhase::Registered;
            module.can_be_published() && !waits
        };
        let mut takers: Vec<_> = self.sets[set].members.iter().copied().filter(is_ready).collect();
        // What is required comes first.
        takers.sort_unstable();
        loop {
            let (can, cannot): (Vec<_>, Vec<_>) =
                takers.iter().partition(|index| self.may_come_with(**index, &takers).is_ok());
            if cannot.is_empty() {
                return takers;
            }
            takers = can;
        }
    }

    /// No instance takes the candidate yet: the next one does.
    fn keep(&mut self, set: usize, staged: &Staged) -> PushOutcome {
        let (copy, version) = (staged.copy.clone(), staged.readable.version.clone());
        let module = self.sets[set].set.name.clone();
        if let Some(factory) = &mut self.sets[set].factory {
            factory.current = Some(Current { copy, version: version.clone() });
            // Nobody has had what was there before.
            factory.lineage.clear();
        }
        self.show_candidate(set);
        tell(|| tracing::info!(factory = module, %version, "waits for an instance"));
        PushOutcome::Waiting { module, version }
    }

    /// What an instance begins with.
    pub(super) fn beginning(&self, set: usize) -> Option<Beginning> {
        let factory = self.sets[set].factory.as_ref()?;
        let Current { copy, .. } = factory.current.clone()?;
        let serving = self.serving_instances(set).into_iter().flatten();
        let standby = serving.filter_map(|index| self.modules[index].standby_copy()).next();
        let (first, then) =
            standby.map_or_else(|| (copy.clone(), None), |standby| (standby, Some(copy.clone())));
        Some(Beginning { first, then, lineage: factory.lineage.clone() })
    }

    /// Has a declared instance that has no version begin with what its siblings have, or with what was kept. If they are on
    /// probation, it isn't with them: it can return to their predecessor all the same, and must not be left with that.
    pub(in crate::control) fn begin_as_instance(&mut self, index: usize) -> Result<(), PushError> {
        let Some(set) = self.siblings(index) else { return Ok(()) };
        if !self.modules[index].is_empty() {
            // An earlier process has left a version for it: its siblings begin with that, too.
            if self.factory_version(set).is_none() {
                self.note_current(set);
            }
            return Ok(());
        }
        let Some(Beginning { first, then, lineage }) = self.beginning(set) else { return Ok(()) };
        let beginning = Beginning { first: then.unwrap_or(first), then: None, lineage };
        beginning.take(&mut self.modules[index], &self.settings)?;
        self.note_begun();
        Ok(())
    }
}
