//! A state that may be half changed: what is done about it.

use super::super::state::destroy;
use super::super::{Asker, Recovery, Settings};
use super::configure::configure;
use super::{Module, Sweep};
use crate::call::HandOver;
use crate::call::suspicion::SuspectPolicy;
use crate::error::{PushError, RecoverError};
use crate::tell::tell;

impl Module {
    /// Whether calls are kept out of the state.
    pub(super) fn is_barred(&self) -> bool {
        self.path.suspicions.keeps_out().is_some()
    }

    /// If the host wants that, has the last snapshot take the place of a state that may be half changed. Once for
    /// each time.
    pub(super) fn tend_suspicion(&mut self, settings: &Settings) {
        let suspicion = self.path.suspicions.current();
        if suspicion != self.suspicion {
            self.suspicion = suspicion;
            self.is_to_be_restored =
                self.suspicion.is_some() && self.path.suspicions.policy() == SuspectPolicy::Restore;
            if let Some(suspicion) = &self.suspicion {
                let (module, method) = (self.name(), &suspicion.method);
                tell(|| tracing::error!(module, method, "a panic may have left the state half changed"));
            }
        }
        // A sweep tells when it's done.
        if !self.is_to_be_restored || self.sweep.as_ref().is_some_and(Sweep::is_sweeping) {
            return;
        }
        self.is_to_be_restored = false;
        // Forgotten once the state is another one.
        let by = self.suspicion.as_ref().map_or("", |suspicion| &suspicion.method);
        let reason = Some(format!("`{by}` has panicked and may have left the state half changed"));
        let recovered = self.recover(settings);
        settings.audit.recovered(&Asker::Engine { reason }, self.name(), Recovery::Restore, &recovered);
        if let Err(error) = recovered {
            let module = self.name();
            tell(|| tracing::error!(module, code = error.code(), "can't restore the state: {error}"));
        }
    }

    /// Has the last snapshot take the place of the state.
    pub(crate) fn recover(&mut self, settings: &Settings) -> Result<(), RecoverError> {
        self.refuse_if_stopped()?;
        let module = self.name().to_owned();
        let from = self.callable().ok_or_else(|| RecoverError::NoState { module: module.clone() })?;
        if self.snapshots.is_none() {
            return Err(RecoverError::NotConfigured { module });
        }
        self.cancel_snapshot();
        if self.sweep.as_ref().is_some_and(|sweep| !sweep.is_ended()) {
            let waits_for = format!("the state of module `{module}` is still being migrated");
            return Err(PushError::Busy { waits_for }.into());
        }
        let mut snapshots = self.snapshots.take();
        let active = self.active().expect("there is a callable version");
        let restored = snapshots
            .as_mut()
            .map(|snapshots| {
                snapshots.restore(settings, &active.library, &active.manifest.state, &module, false)
            })
            .transpose();
        self.snapshots = snapshots;
        let fresh = restored?.flatten().ok_or(RecoverError::NoSnapshot { module })?;
        // What was set when the snapshot was taken may be other than what is now.
        let active = self.active().expect("as above");
        let options = self.services.options.current();
        let fresh = configure(&active.library, settings, fresh, options.clone())?;
        let begun = self.retry(settings, |deadline| HandOver::begin(&self.path, &from, deadline));
        let active = self.active().expect("as above");
        let mut hand_over = match begun {
            Ok(hand_over) => hand_over,
            Err(error) => {
                destroy(&active.library, &settings.hooks, &active.library.entry().state, fresh);
                return Err(error.into());
            }
        };
        let state = self.state.as_mut().expect("as above");
        let before = std::mem::replace(&mut state.pointer, fresh);
        state.generation += 1;
        self.heard.replace(options);
        hand_over.trust();
        self.path.suspicions.clear();
        (self.suspicion, self.is_to_be_restored) = (None, false);
        hand_over.publish(self.callable().expect("as above"));
        let active = self.active().expect("as above");
        destroy(&active.library, &settings.hooks, &active.library.entry().state, before);
        let module = self.name();
        tell(|| tracing::warn!(module, "the last snapshot has taken the place of the state"));
        self.write_board();
        Ok(())
    }

    /// Lets calls back to the state as it is.
    pub(crate) fn trust(&mut self, settings: &Settings) -> Result<(), RecoverError> {
        let module = self.name().to_owned();
        if self.path.suspicions.current().is_none() {
            return Err(RecoverError::NothingSuspect { module });
        }
        let generation = self.state.as_ref().ok_or(RecoverError::NoState { module })?.generation;
        self.retry(settings, |deadline| {
            self.path.trust(generation, deadline).then_some(()).ok_or_else(|| self.path.in_the_state())
        })?;
        (self.suspicion, self.is_to_be_restored) = (None, false);
        let module = self.name();
        tell(|| tracing::warn!(module, "the state is trusted as it is"));
        Ok(())
    }
}
