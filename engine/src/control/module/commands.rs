//! What is asked of a module: a push, a rollback, a commit.
//!
//! Each is an event for the machine. What comes before that event, and what is written down once it has led to another
//! version, is here: the predecessors that a rollback may return to, the counts and the last swap on the board, the
//! verdict on a version that was on probation. What the machine refuses becomes the command's own error.

use std::sync::Arc;

use super::super::mailbox::Allowed;
use super::super::observer::SwapStep;
use super::super::staged::Staged;
use super::super::transition::{Event, Refusal, Step};
use super::super::{Settings, intake};
use super::{Halt, Module};
use crate::candidate::accept::Source;
use crate::candidate::private::PrivateCopy;
use crate::candidate::{Digest, VersionNumber};
use crate::engine::Published;
use crate::error::{CommitError, PushError, RollbackError};
use crate::lock::lock;
use crate::probation::Reason;
use crate::probation::record::Known;
use crate::status::{Stages, Swap};
use crate::tell::tell;

/// A push on its way, and what it replaces.
pub(crate) struct PushBegun {
    from: Option<VersionNumber>,
    /// The version whose probation it ends.
    committed: Option<VersionNumber>,
    predecessor: Option<Arc<PrivateCopy>>,
}

/// A rollback on its way, and what it withdraws.
pub(crate) struct RollbackBegun {
    from: Option<VersionNumber>,
    withdrawn: Option<(VersionNumber, Digest)>,
}

impl Module {
    /// Takes a candidate through all steps. `stages` holds what accepting and reading it took.
    pub(crate) fn push(
        &mut self,
        staged: Staged,
        stages: Stages,
        settings: &Settings,
    ) -> Result<Published, PushError> {
        let begun = self.begin_push(staged, stages, None, settings)?;
        Ok(self.end_push(begun, settings))
    }

    /// Takes a candidate through the steps, all of them, or up to one that is left to take.
    pub(crate) fn begin_push(
        &mut self,
        staged: Staged,
        stages: Stages,
        last: Option<Step>,
        settings: &Settings,
    ) -> Result<PushBegun, PushError> {
        self.refuse_if_stopped()?;
        let from = self.active_number();
        let committed = self.standby().and(from.clone());
        let predecessor = self.active().map(|active| active.copy.clone());
        self.stages = stages;
        (self.migrated, self.forced, self.rehearsed) = (None, None, None);
        let event = Event::Push(staged.serial);
        self.staged = Some(staged);
        self.drive_up_to(last, event, settings).map_err(|halt| self.push_error(halt))?;
        Ok(PushBegun { from, committed, predecessor })
    }

    /// Writes down a push whose candidate is published. The module's timers begin, if this is its first version: earlier,
    /// there might be none to enter, as those of a set are published later than each of them.
    pub(crate) fn end_push(&mut self, begun: PushBegun, settings: &Settings) -> Published {
        let PushBegun { from, committed, predecessor } = begun;
        if let Some(work) = &self.work {
            work.begin();
        }
        self.lineage.extend(predecessor);
        let surplus = self.lineage.len().saturating_sub(settings.kept_max);
        // Removing a file takes its time, and whoever has pushed waits for an answer.
        self.surplus.extend(self.lineage.drain(..surplus));
        if let Some(committed) = &committed {
            lock(&self.board).swaps.committed += 1;
            let module = self.name();
            tell(|| tracing::info!(module, version = %committed, "committed early, by the next push"));
            self.note_verdict(committed.clone(), None);
        }
        self.begin_probation(from.is_some());
        self.conclude(from, committed, settings)
    }

    /// Returns to the predecessor: at once if it is in the other slot, else by loading its kept file.
    pub(crate) fn rollback(
        &mut self,
        reason: Reason,
        settings: &Settings,
    ) -> Result<Published, RollbackError> {
        let begun = self.begin_rollback(None, settings)?;
        Ok(self.end_rollback(begun, reason, settings))
    }

    /// Takes the predecessor through the steps, all of them, or up to one that is left to take.
    pub(crate) fn begin_rollback(
        &mut self,
        last: Option<Step>,
        settings: &Settings,
    ) -> Result<RollbackBegun, RollbackError> {
        self.refuse_if_stopped()?;
        let from = self.active_number();
        let withdrawn = from.clone().zip(self.active_digest());
        self.stages = Stages::default();
        (self.migrated, self.forced, self.rehearsed) = (None, None, None);
        let reloaded = if self.standby().is_some() {
            None
        } else {
            let no_predecessor = || RollbackError::NoPredecessor { module: self.name().to_owned() };
            let kept = self.lineage.last().ok_or_else(no_predecessor)?;
            let allowed = Allowed { older: true, ..Allowed::default() };
            let (staged, stages) = intake::stage(settings, Source::Kept(kept), None, allowed)?;
            let serial = staged.serial;
            (self.staged, self.stages) = (Some(staged), stages);
            Some(serial)
        };
        match self.drive_up_to(last, Event::Rollback { reloaded }, settings) {
            Ok(()) => Ok(RollbackBegun { from, withdrawn }),
            Err(Halt::Refused(Refusal::NoPredecessor)) => {
                Err(RollbackError::NoPredecessor { module: self.name().to_owned() })
            }
            Err(halt) => Err(self.push_error(halt).into()),
        }
    }

    /// Writes down a rollback whose predecessor is published.
    pub(crate) fn end_rollback(
        &mut self,
        begun: RollbackBegun,
        reason: Reason,
        settings: &Settings,
    ) -> Published {
        let RollbackBegun { from, withdrawn } = begun;
        self.lineage.pop();
        let mut board = lock(&self.board);
        board.swaps.rolled_back += 1;
        board.swaps.rolled_back_by_health += u64::from(reason.is_found());
        drop(board);
        let published = self.conclude(from, None, settings);
        if let Some((version, digest)) = withdrawn {
            self.record_rollback(Known { version: version.clone(), digest });
            self.note_verdict(version, Some(reason));
        }
        published
    }

    /// Ends probation: the predecessor leaves its slot. Returns the version that stays.
    pub(crate) fn commit(&mut self, settings: &Settings) -> Result<VersionNumber, CommitError> {
        let module = || self.name().to_owned();
        let active = self.active_number().ok_or_else(|| CommitError::NothingToCommit { module: module() })?;
        if self.standby().is_some() {
            self.record_commit()?;
        }
        match self.drive(Event::Commit, settings) {
            Ok(()) => {
                lock(&self.board).swaps.committed += 1;
                self.note_verdict(active.clone(), None);
                tell(|| tracing::info!(module = self.name(), version = %active, "committed"));
                settings.observer.told(Some(self.name()), SwapStep::Commit);
                Ok(active)
            }
            Err(Halt::Refused(Refusal::Stopped)) => Err(CommitError::Stopped),
            Err(_) => Err(CommitError::NothingToCommit { module: self.name().to_owned() }),
        }
    }

    pub(super) fn push_error(&self, halt: Halt) -> PushError {
        match halt {
            Halt::Failed(error) => error,
            Halt::Refused(Refusal::Stopped) => PushError::Stopped,
            Halt::Refused(_) => {
                PushError::Busy { waits_for: format!("module `{}` is {}", self.name(), self.phase.name()) }
            }
        }
    }

    /// Writes down a swap that has happened, and says it once.
    fn conclude(
        &self,
        from: Option<VersionNumber>,
        committed: Option<VersionNumber>,
        settings: &Settings,
    ) -> Published {
        settings.observer.told(Some(self.name()), SwapStep::Publish);
        let to = self.active_number().expect("a swap ends with an active version");
        let swap = Swap { from, to, stages_us: self.stages, forced: self.forced.clone() };
        lock(&self.board).last_swap = Some(swap.clone());
        tell(|| {
            let from = swap.from.as_ref().map(tracing::field::display);
            tracing::info!(module = self.name(), from, to = %swap.to, "published");
        });
        Published {
            module: self.name().to_owned(),
            swap,
            committed,
            migrated: self.migrated.clone(),
            rehearsal: self.rehearsed.clone(),
            set: None,
        }
    }
}
