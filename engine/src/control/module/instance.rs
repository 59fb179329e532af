//! A module as an instance of a factory: whose candidates it takes, what it begins with, and how it ends for good.
//!
//! An instance is a module like any other. But its candidates bear its factory's name, what its siblings could return to
//! it can return to as well, and it may go while the engine goes on.

use std::sync::Arc;
use std::time::Instant;

use super::super::Settings;
use super::Module;
use crate::candidate::private::PrivateCopy;
use crate::lifecycle::LifecyclePhase;

impl Module {
    /// Makes it an instance, if there is a factory.
    pub(crate) fn instance_of(mut self, factory: Option<String>) -> Self {
        self.factory = factory;
        self
    }

    /// The factory that it's an instance of.
    pub(crate) fn factory(&self) -> Option<&str> {
        self.factory.as_deref()
    }

    /// The name that its candidates have in their manifests.
    pub(crate) fn candidates(&self) -> &str {
        self.factory().unwrap_or(self.name())
    }

    /// The file of the active version.
    pub(crate) fn active_copy(&self) -> Option<Arc<PrivateCopy>> {
        self.active().map(|active| active.copy.clone())
    }

    /// The file of its predecessor, if that is still in its slot.
    pub(crate) fn standby_copy(&self) -> Option<Arc<PrivateCopy>> {
        self.standby().map(|standby| standby.copy.clone())
    }

    /// What a rollback returns to, the latest last.
    pub(crate) fn lineage(&self) -> &[Arc<PrivateCopy>] {
        &self.lineage
    }

    /// Can return to what its siblings can return to.
    pub(crate) fn inherit(&mut self, lineage: &[Arc<PrivateCopy>]) {
        self.lineage = lineage.to_vec();
    }

    /// It's about to go, and nobody enters it any more.
    pub(crate) fn leave(&mut self) {
        self.is_leaving = true;
        self.close();
    }

    /// Who is inside its versions, or leases them, by name.
    pub(crate) fn holders(&self) -> String {
        let inside = self.loaded.iter().flat_map(|loaded| self.path.holders(loaded.serial.0));
        let names = inside.map(|holder| holder.label.map_or(holder.thread, |label| label.to_string()));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names.dedup();
        if names.is_empty() { "a version that is still draining".to_owned() } else { names.join(", ") }
    }

    /// Whether a version of it could be published.
    pub(crate) fn can_be_published(&self) -> bool {
        !self.is_leaving && self.lifecycle() != LifecyclePhase::Stopped
    }

    /// Ends a closed module while the engine goes on: its state is dropped, with the snapshots of it, its versions leave
    /// their slots, and its place in the set is free.
    pub(crate) fn destroy(&mut self, settings: &Settings, deadline: Option<Instant>) {
        self.cancel_snapshot();
        if let Some(snapshots) = self.snapshots.take() {
            snapshots.remove(&self.path.module);
        }
        self.stop(settings, deadline);
        self.path.leave_set();
        if std::mem::take(&mut self.has_retired) {
            settings.hooks.settle();
            self.reaper.look();
        }
    }
}
