//! A module's part in the swap of a set: the same steps as alone, but in step with others.
//!
//! Each member is taken as far as it gets without anybody noticing: up to [`Step::HandOver`]. Then each hands its state
//! over, if that becomes another one; then the first versions among them initialize theirs; and only then each is
//! published, which the set makes one store of. So what fails in any member is found before anything of the others was
//! published; those are called off.

use super::super::Settings;
use super::super::transition::{Event, Step};
use super::{Halt, Module};
use crate::error::PushError;

impl Module {
    /// Whether the predecessor of the active version is still in its slot.
    pub(crate) fn has_standby(&self) -> bool {
        self.standby().is_some()
    }

    /// Takes the step that is left to take. If it fails, the swap of this module is over.
    pub(crate) fn hand_over_with_set(&mut self, settings: &Settings) -> Result<(), PushError> {
        self.run_with_set(Step::HandOver, settings)
    }

    /// All have handed over: if this is a first version, it initializes its state. If that fails, as above.
    pub(crate) fn initialize_with_set(&mut self, settings: &Settings) -> Result<(), PushError> {
        if self.active().is_some() {
            return Ok(());
        }
        self.end_step(Some(Step::Initialize), Event::Done, settings);
        self.run_with_set(Step::Initialize, settings)
    }

    /// Publishes what has come through all steps. It can't fail.
    pub(crate) fn publish_with_set(&mut self, settings: &Settings) {
        self.end_step(None, Event::Done, settings);
    }

    /// Ends a swap that has come at least as far as to the last step, or is through it, without a publish.
    pub(crate) fn call_off(&mut self, has_handed_over: bool, settings: &Settings) {
        if has_handed_over {
            self.take_back_on_record();
        }
        self.fail(settings);
    }

    fn run_with_set(&mut self, step: Step, settings: &Settings) -> Result<(), PushError> {
        let outcome = self.run(step, settings);
        if outcome.is_err() {
            self.fail(settings);
        }
        outcome
    }

    fn fail(&mut self, settings: &Settings) {
        self.forget_migration();
        self.end_step(None, Event::Failed, settings);
    }

    /// The step under way has ended. The one that `next` says, if it follows, is still to be taken then.
    fn end_step(&mut self, next: Option<Step>, event: Event, settings: &Settings) {
        let ended = self.drive_up_to(next, event, settings);
        debug_assert!(!matches!(ended, Err(Halt::Refused(_))), "a step was under way");
    }
}
