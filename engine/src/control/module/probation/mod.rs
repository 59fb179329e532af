//! A version on probation: watched, judged, and committed or rolled back.
//!
//! The control thread looks at it now and then: often at first, when a fault shows soonest, and then once a second. What
//! it sees is in the version's [meter](crate::call::meter), and in its `health` hook, which is asked on a thread beside;
//! what follows from it, the [judge](judge()) says. What must be rolled back and can't be at that moment, because calls
//! keep it from having the state, is tried again at the next look, and isn't committed meanwhile.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | judging, and what follows from that |
//! | [`mod@watch`] | what is seen of the version: its `health` hook, its calls |
//! | [`recorded`] | what is written down of that, and what a start does with it |

mod recorded;
mod watch;

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::super::{Asker, Serial, Settings};
use super::Module;
use crate::call::meter::{Meter, Sums};
use crate::candidate::{Digest, VersionNumber};
use crate::error::PushError;
use crate::lock::lock;
use crate::probation::judge::{Evidence, Health, Verdict, judge, millis};
use crate::probation::record::Record;
use crate::probation::view::{ProbationView, VerdictStatus};
use crate::probation::{Probation, Reason};
use crate::tell::tell;
use watch::Watch;

/// What a module is overseen with.
pub(crate) struct Oversight {
    policy: Option<Probation>,
    record: Option<Record>,
    watch: Option<Watch>,
    usual: Option<Usual>,
    /// How many verdicts there were.
    verdicts: u64,
    /// What was rolled back since somebody asked: a watched folder needn't bring it back.
    withdrawn: Vec<Digest>,
    /// The version that is being loaded takes over again after a crash.
    returns: bool,
    /// What is found is somebody else's to act on: the set's, if that was swapped as one.
    is_deferred: bool,
    /// What was found at the last look, in that case.
    deferred: Option<Verdict>,
}

impl Oversight {
    pub(crate) fn new(policy: Option<Probation>, record: Option<Record>) -> Self {
        let withdrawn = record.iter().flat_map(Record::withdrawn).collect();
        Self {
            policy,
            record,
            watch: None,
            usual: None,
            verdicts: 0,
            withdrawn,
            returns: false,
            is_deferred: false,
            deferred: None,
        }
    }

    /// Leaves it to the set to roll back for this reason. False if there is none that acts for its members.
    pub(super) fn defer(&mut self, reason: Reason) -> bool {
        if self.is_deferred {
            self.deferred = Some(Verdict::RollBack(reason));
        }
        self.is_deferred
    }

    /// What is to note the calls of a version.
    pub(super) fn meter(&self, methods: usize) -> Option<Arc<Meter>> {
        self.policy.as_ref().map(|_| Arc::new(Meter::new(methods)))
    }

    pub(super) fn returns(&self) -> bool {
        self.returns
    }

    /// When there is something to look at.
    pub(super) fn due(&self) -> Option<Instant> {
        let look = self.watch.as_ref().map(|watch| watch.look_at);
        look.or_else(|| self.usual.as_ref().map(|usual| usual.next))
    }
}

/// What is usual for a version: its calls in the latest window, and the one before.
struct Usual {
    serial: Serial,
    older: Sums,
    newer: Sums,
    /// When the older is given up for the newer.
    next: Instant,
}

impl Usual {
    /// What is usual, at the end of the time that it was noted for. A version that has had too few calls lately is known by
    /// all that it ever had.
    fn at_last(&self, all: &Sums, policy: &Probation) -> Sums {
        let recent = all.since(&self.older);
        if recent.calls() >= policy.calls_min.into() { recent } else { all.clone() }
    }
}

impl Module {
    /// A version was published: is it on probation?
    pub(super) fn begin_probation(&mut self, has_predecessor: bool) {
        let Some(active) = self.active() else { return };
        let (serial, is_on_probation) = (active.serial, has_predecessor && self.oversight.policy.is_some());
        self.record_publish(is_on_probation);
        let standby = self.standby().and_then(|standby| standby.meter.clone().zip(Some(standby.serial)));
        let Oversight { policy: Some(policy), usual, watch, .. } = &mut self.oversight else { return };
        let before = usual.take();
        *watch = standby.filter(|_| is_on_probation).map(|(meter, serial_before)| {
            let all = meter.sums();
            let before = before.filter(|usual| usual.serial == serial_before);
            let usual = before.map_or_else(|| all.clone(), |usual| usual.at_last(&all, policy));
            Watch::new(serial, usual, policy)
        });
        self.write_board();
    }

    /// Looks once more at the version on probation. Gives what speaks against it.
    pub(crate) fn condemned(&mut self, settings: &Settings) -> Option<Reason> {
        self.look(settings);
        self.oversight.watch.as_ref().and_then(|watch| watch.condemned.clone())
    }

    /// A push has come. The version on probation is judged once more: if its health speaks against it, its predecessor
    /// takes over first, and it's that which the candidate is to replace.
    pub(crate) fn judge_before_push(&mut self, settings: &Settings) -> Result<(), PushError> {
        let Some(reason) = self.condemned(settings) else { return Ok(()) };
        let rolled_back = self.rollback(reason.clone(), settings);
        let asker = Asker::Engine { reason: Some(reason.to_string()) };
        settings.audit.rolled_back(&asker, self.name(), &rolled_back);
        // Before it's asked to hand over once more.
        self.tell_of_hand_overs(settings);
        rolled_back.map(drop).map_err(|error| {
            let waits_for =
                format!("module `{}` is to be rolled back ({reason}), and can't be: {error}", self.name());
            PushError::Busy { waits_for }
        })
    }

    /// Looks at the version on probation if it's time, and does what follows.
    pub(super) fn oversee(&mut self, settings: &Settings) {
        self.note_usual();
        let now = Instant::now();
        if self.oversight.watch.as_ref().is_none_or(|watch| watch.look_at > now) {
            return;
        }
        let verdict = self.look(settings);
        if self.oversight.is_deferred {
            self.oversight.deferred = verdict;
            if let Oversight { policy: Some(policy), watch: Some(watch), .. } = &mut self.oversight {
                watch.look_later(policy);
            }
            return self.write_board();
        }
        // What can't be done now is tried again and again, and told and written down once.
        let is_told = self.oversight.watch.as_ref().is_some_and(|watch| watch.is_told);
        let done = match verdict {
            Some(Verdict::RollBack(reason)) => {
                let done = self.rollback(reason.clone(), settings);
                if done.is_ok() || !is_told {
                    let asker = Asker::Engine { reason: Some(reason.to_string()) };
                    settings.audit.rolled_back(&asker, self.name(), &done);
                }
                done.map(drop)
                    .map_err(|error| format!("it is to be rolled back ({reason}), and can't be now: {error}"))
            }
            Some(Verdict::Commit) => {
                let done = self.commit(settings);
                if done.is_ok() || !is_told {
                    settings.audit.committed(&Asker::Engine { reason: None }, self.name(), &done);
                }
                done.map(drop).map_err(|error| format!("it is to be committed, and can't be now: {error}"))
            }
            Some(Verdict::Wait) | None => Ok(()),
        };
        let Oversight { policy: Some(policy), watch: Some(watch), .. } = &mut self.oversight else { return };
        watch.look_later(policy);
        if let Err(error) = done
            && !std::mem::replace(&mut watch.is_told, true)
        {
            let module = self.name();
            tell(|| tracing::error!(module, "the version on probation: {error}"));
        }
        self.write_board();
    }

    /// Notes what is usual for a version that isn't on probation.
    fn note_usual(&mut self) {
        let active = self.active().and_then(|active| Some((active.serial, active.meter.clone()?)));
        let Oversight { policy: Some(policy), usual, watch: None, .. } = &mut self.oversight else { return };
        let (Some((serial, meter)), now) = (active, Instant::now()) else { return };
        match usual {
            Some(usual) if usual.serial == serial && usual.next > now => {}
            Some(usual) if usual.serial == serial => {
                usual.older = std::mem::replace(&mut usual.newer, meter.sums());
                usual.next = now + policy.window;
            }
            _ => {
                let none = Sums::new(self.path.methods.len());
                *usual = Some(Usual { serial, older: none.clone(), newer: none, next: now + policy.window });
            }
        }
    }

    /// Looks at the version on probation, if there is one.
    fn look(&mut self, settings: &Settings) -> Option<Verdict> {
        let path = self.path.clone();
        let serial = self.oversight.watch.as_ref()?.serial;
        let active = self.loaded.iter().find(|loaded| loaded.serial == serial)?;
        let meter = active.meter.clone()?;
        let number = active.number.to_string();
        // What its predecessor has done to the state is no fault of its own.
        let suspicion = path.suspicions.keeps_out().filter(|suspicion| suspicion.version == number);
        let Oversight { policy: Some(policy), watch: Some(watch), .. } = &mut self.oversight else {
            return None;
        };
        watch.ask(active, &path, policy, settings);
        let stuck = watch.stuck(&path, &meter);
        if watch.condemned.is_none() {
            let evidence = Evidence {
                methods: path.methods,
                sums: &meter.sums(),
                usual: &watch.usual,
                elapsed: watch.since.elapsed(),
                health: &watch.health,
                stuck,
                suspect: suspicion.map(|suspicion| suspicion.method),
            };
            match judge(policy, &evidence) {
                Verdict::RollBack(reason) => watch.condemned = Some(reason),
                other => return Some(other),
            }
        }
        // What was found once doesn't become better.
        watch.condemned.clone().map(Verdict::RollBack)
    }

    /// Whether its set acts on what is found.
    pub(crate) fn set_deferred(&mut self, is_deferred: bool) {
        self.oversight.is_deferred = is_deferred;
        if !is_deferred {
            self.oversight.deferred = None;
        }
    }

    /// What was found at the last look, for its set.
    pub(crate) fn deferred(&self) -> Option<&Verdict> {
        self.oversight.deferred.as_ref()
    }

    /// It could not be followed, and is found again at the next look.
    pub(crate) fn forget_deferred(&mut self) {
        self.oversight.deferred = None;
    }

    /// Writes down what has become of a version.
    pub(super) fn note_verdict(&mut self, version: VersionNumber, reason: Option<Reason>) {
        (self.oversight.watch, self.oversight.deferred) = (None, None);
        if let Some(snapshots) = &self.snapshots {
            snapshots.let_go();
        }
        self.oversight.verdicts += 1;
        let message = reason.as_ref().map(Reason::to_string);
        if let Some(reason) = &reason {
            let (module, code) = (self.name(), reason.code());
            if reason.is_found() {
                tell(|| tracing::warn!(module, %version, code, "rolled back: {reason}"));
            } else {
                tell(|| tracing::info!(module, %version, code, "rolled back: {reason}"));
            }
        }
        let verdict = if reason.is_some() { "rolled-back" } else { "committed" };
        let number = self.oversight.verdicts;
        let status = VerdictStatus { number, version, verdict, reason, message, at_ms: now_ms() };
        lock(&self.board).last_verdict = Some(status);
        self.write_board();
    }

    /// For the board.
    pub(super) fn view_probation(&self) -> Option<ProbationView> {
        let (watch, policy) = (self.oversight.watch.as_ref()?, self.oversight.policy.as_ref()?);
        let active = self.find(Some(watch.serial))?;
        Some(ProbationView {
            version: active.number.clone(),
            since_ms: watch.since_ms,
            ends_ms: watch.since_ms.saturating_add(millis(policy.window)),
            methods: self.path.methods,
            meter: active.meter.clone()?,
            usual: watch.usual.clone(),
            calls_min: policy.calls_min,
            health: match watch.health {
                Health::Unknown => "unknown",
                Health::Good => "good",
                Health::Bad { .. } => "bad",
                Health::Hung { .. } => "hung",
            },
            condemned: watch.condemned.clone(),
        })
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}
