//! What is written down of a probation, and what a start does with it.
//!
//! Before a version is put on probation, the [record](crate::probation::record) says so, and after it's over, that it
//! is: if the process doesn't live that long, the next start goes back to the predecessor. So a version isn't published
//! if that can't be written, nor committed. What was rolled back is noted too, so that neither a watched folder nor a
//! later start brings it back; that this can't be written undoes nothing.

use super::super::{Loaded, Module, PrepareError};
use crate::candidate::accept::Source;
use crate::candidate::{CandidateName, Digest};
use crate::control::mailbox::Allowed;
use crate::control::restore::RestoreError;
use crate::control::transition::{Phase, Purpose};
use crate::control::{Asker, Settings, intake};
use crate::error::PushError;
use crate::lock::lock;
use crate::probation::record::{Known, Record};
use crate::probation::{Reason, RecordError};
use crate::tell::tell;

impl Module {
    /// Has the state become the candidate's; if the candidate is to go on probation, once the record says so.
    pub(in super::super) fn hand_over_on_record(&mut self, settings: &Settings) -> Result<(), PushError> {
        if !self.goes_on_record() {
            return self.hand_over(settings);
        }
        let is_migrating = self.is_migrating();
        self.record_probation()?;
        if let Some(snapshots) = self.snapshots.as_ref().filter(|_| is_migrating) {
            snapshots.hold();
        }
        let outcome = self.hand_over(settings);
        if outcome.is_err() {
            self.take_record_back();
        }
        outcome
    }

    /// Whether the candidate of the swap under way goes on probation.
    fn goes_on_record(&self) -> bool {
        let is_upgrade = matches!(self.phase, Phase::Swapping { purpose: Purpose::Upgrade, .. });
        is_upgrade && self.oversight.policy.is_some() && self.active().is_some()
    }

    /// Undoes a hand-over of which nothing was published yet, with what was written down of it.
    pub(in super::super) fn take_back_on_record(&mut self) {
        self.take_hand_over_back();
        if self.goes_on_record() {
            self.take_record_back();
        }
    }

    fn take_record_back(&mut self) {
        // Who is on probation meanwhile may still need it.
        if let Some(snapshots) = self.snapshots.as_ref().filter(|_| self.oversight.watch.is_none()) {
            snapshots.let_go();
        }
        let taken_back = self.oversight.record.as_mut().map_or(Ok(()), Record::take_back);
        self.report(taken_back);
    }

    fn record_probation(&mut self) -> Result<(), RecordError> {
        let (Some(staged), Some(active)) = (&self.staged, self.active()) else { return Ok(()) };
        let version = Known { version: staged.readable.version.clone(), digest: staged.digest() };
        let (predecessor, copy) = (known(active), active.copy.clone());
        let Some(record) = &mut self.oversight.record else { return Ok(()) };
        let kept =
            copy.ensure().map_err(|source| RecordError::Unreadable { path: copy.path.clone(), source });
        kept.and_then(|()| record.begin(version, predecessor, &copy.path))
    }

    /// What could not be written down is no reason to undo what has happened.
    fn report(&self, written: Result<(), RecordError>) {
        if let Err(error) = written {
            let module = self.name();
            tell(|| tracing::error!(module, code = error.code(), "the next start won't know: {error}"));
        }
    }

    /// A version was published: without a probation, the predecessor that took over is of no use to the next start.
    pub(super) fn record_publish(&mut self, is_on_probation: bool) {
        let Some(known) = self.active().map(known) else { return };
        let Some(record) = &mut self.oversight.record else { return };
        let mut written = Ok(());
        if is_on_probation {
            record.settle();
        } else if record.predecessor() != Some(&known) {
            written = record.commit();
        }
        written = written.and_then(|()| record.admit(known.digest));
        self.report(written);
    }

    /// A version was rolled back: that is to last.
    pub(in super::super) fn record_rollback(&mut self, withdrawn: Known) {
        self.oversight.withdrawn.push(withdrawn.digest);
        let Some(active) = self.active() else { return };
        let (predecessor, copy) = (known(active), active.copy.clone());
        let record = self.oversight.record.as_mut();
        let written = record.map_or(Ok(()), |record| {
            copy.ensure().map_err(|source| RecordError::Unreadable { path: copy.path.clone(), source })?;
            record.roll_back(withdrawn, predecessor, &copy.path)
        });
        self.report(written);
    }

    /// A version is about to be committed: that is to last.
    pub(in super::super) fn record_commit(&mut self) -> Result<(), RecordError> {
        self.oversight.record.as_mut().map_or(Ok(()), Record::commit)
    }

    /// The engine ends in good order, which says nothing against a version on probation. One that is condemned, and
    /// could not be rolled back yet, stays on record: the next start goes back to its predecessor.
    pub(crate) fn end_probation(&mut self) {
        if self.oversight.watch.take().is_some_and(|watch| watch.condemned.is_some()) {
            return;
        }
        let record = self.oversight.record.as_mut().filter(|record| record.on_probation().is_some());
        let written = record.map_or(Ok(()), Record::commit);
        self.report(written);
    }

    /// What was rolled back since this was asked before.
    pub(crate) fn take_withdrawn(&mut self) -> Vec<Digest> {
        std::mem::take(&mut self.oversight.withdrawn)
    }

    /// The process begins: has the version serve that the record names, if it names one.
    pub(crate) fn return_to_recorded(&mut self, settings: &Settings) {
        let Some(record) = &self.oversight.record else { return };
        let Some(Known { version, digest }) = record.predecessor().cloned() else { return };
        let (crashed, content) = (record.on_probation().cloned(), record.predecessor_content());
        let module = self.name().to_owned();
        if let Some(Known { version: crashed, .. }) = &crashed {
            let what = "the process before this one ended while a version was on probation";
            tell(|| tracing::error!(module, version = %crashed, predecessor = %version, "{what}"));
        }
        let name = CandidateName { module: self.candidates().to_owned(), version: version.clone() };
        let file = format!("{}.v{version}.so", name.module);
        let returned = content.map_err(PushError::from).and_then(|content| {
            let source = Source::Left { name: &file, content: &content, digest };
            let allowed = Allowed { older: true, ..Allowed::default() };
            let (staged, stages) = match self.built_in_of(digest) {
                // Of that, only the manifest was kept.
                Some(built_in) => intake::stage_built_in(settings, built_in, allowed)?,
                None => intake::stage(settings, source, Some(&name), allowed)?,
            };
            self.oversight.returns = true;
            let returned = self.push(staged, stages, settings);
            self.oversight.returns = false;
            returned
        });
        if let Err(error) = &returned {
            let code = error.code();
            let what = "can't begin with the version that had taken over";
            tell(|| tracing::error!(module, %version, code, "{what}: {error}"));
        } else {
            tell(|| tracing::info!(module, %version, "begins with the version that had taken over"));
        }
        let reason = Some(match &crashed {
            Some(Known { version, .. }) => format!("the process ended while {version} was on probation"),
            None => "it had taken over when the process ended".to_owned(),
        });
        settings.audit.returned(&Asker::Engine { reason }, &module, &version, &returned);
        let is_stranded = matches!(
            returned,
            Err(PushError::Prepare(PrepareError::Restore(RestoreError::OtherState { .. })))
        );
        // With a state that only the other can go on with, that one is better than none.
        let Some(crashed) = crashed.filter(|_| !is_stranded) else { return };
        let number = crashed.version.clone();
        let mut board = lock(&self.board);
        board.swaps.rolled_back += 1;
        board.swaps.rolled_back_by_health += 1;
        drop(board);
        if returned.is_ok() {
            self.record_rollback(crashed);
        } else {
            // Whatever begins in its place: not that one.
            self.oversight.withdrawn.push(crashed.digest);
            let given_up = self.oversight.record.as_mut().map_or(Ok(()), |record| record.give_up(crashed));
            self.report(given_up);
        }
        self.note_verdict(number, Some(Reason::Crashed));
    }
}

fn known(loaded: &Loaded) -> Known {
    Known { version: loaded.number.clone(), digest: loaded.copy.digest }
}
