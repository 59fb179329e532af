//! A version on probation: watched, judged, and committed or rolled back.
//!
//! The control thread looks at it now and then: often at first, when a fault shows soonest, and then once a second. What
//! it sees is in the version's [meter](crate::call::meter), and in its `health` hook, which is asked on a thread beside;
//! what follows from it, the [judge](judge()) says. What must be rolled back and can't be at that moment, because calls
//! keep it from having the state, is tried again at the next look, and isn't committed meanwhile.
//!
//! Before a version is put on probation, the [record](crate::probation::record) says so, and after it's over, that it
//! is: if the process doesn't live that long, the next start goes back to the predecessor.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use liveswap_state::fence::Panic;

use super::super::Settings;
use super::super::mailbox::Allowed;
use super::super::restore::RestoreError;
use super::super::transition::{Phase, Purpose};
use super::super::{Asker, Serial, thread};
use super::{Loaded, Module, PrepareError};
use crate::call::meter::{Meter, Sums};
use crate::call::{CallPath, Guard, Hold, Holding};
use crate::candidate::accept::Source;
use crate::candidate::{CandidateName, Digest, VersionNumber};
use crate::error::PushError;
use crate::host::hook::UnderWay;
use crate::lock::lock;
use crate::probation::judge::{Evidence, Health, Stuck, Verdict, judge, millis};
use crate::probation::record::{Known, Record};
use crate::probation::view::{ProbationView, VerdictStatus};
use crate::probation::{Probation, Reason, RecordError};
use crate::tell::tell;

/// The shortest and the longest time between two looks. In between, a twentieth of the time that has passed.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
const PART: u32 = 20;

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
}

impl Oversight {
    pub(crate) fn new(policy: Option<Probation>, record: Option<Record>) -> Self {
        let withdrawn = record.iter().flat_map(Record::withdrawn).collect();
        Self { policy, record, watch: None, usual: None, verdicts: 0, withdrawn, returns: false }
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

/// A version that is on probation.
struct Watch {
    serial: Serial,
    since: Instant,
    since_ms: u64,
    look_at: Instant,
    /// Its predecessor's calls.
    usual: Arc<Sums>,
    health: Health,
    ask_at: Instant,
    asked: Option<Asked>,
    /// The calls that were seen inside at the last look, by thread.
    inside: HashMap<i32, Seen>,
    condemned: Option<Reason>,
    /// That it can't be committed or rolled back was said.
    is_told: bool,
}

type Answer = Option<Result<Result<(), String>, Box<Panic>>>;

/// The `health` hook was called.
struct Asked {
    hook: UnderWay<Answer>,
    /// When it began in earnest. Until then it may wait for an exclusive call, which is no fault of its own.
    began: Arc<OnceLock<Instant>>,
}

/// A call that was inside.
struct Seen {
    /// How many calls its thread had made to their end.
    calls: u64,
    since: Instant,
}

impl Module {
    /// Has the state become the candidate's; if the candidate is to go on probation, once the record says so.
    pub(super) fn hand_over_on_record(&mut self, settings: &Settings) -> Result<(), PushError> {
        let is_upgrade = matches!(self.phase, Phase::Swapping { purpose: Purpose::Upgrade, .. });
        if !is_upgrade || self.oversight.policy.is_none() || self.active().is_none() {
            return self.hand_over(settings);
        }
        let is_migrating = self.is_migrating();
        self.record_probation()?;
        if let Some(snapshots) = self.snapshots.as_ref().filter(|_| is_migrating) {
            snapshots.hold();
        }
        let outcome = self.hand_over(settings);
        if outcome.is_err() {
            let taken_back = self.oversight.record.as_mut().map_or(Ok(()), Record::take_back);
            self.report(taken_back);
        }
        outcome
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

    /// A version was published: is it on probation?
    pub(super) fn begin_probation(&mut self, has_predecessor: bool) {
        let Some(active) = self.active() else { return };
        let (serial, known) = (active.serial, known(active));
        let (is_on_probation, mut written) = (has_predecessor && self.oversight.policy.is_some(), Ok(()));
        if let Some(record) = &mut self.oversight.record {
            if is_on_probation {
                record.settle();
            } else if record.predecessor() != Some(&known) {
                written = record.commit();
            }
            written = written.and_then(|()| record.admit(known.digest));
        }
        self.report(written);
        let standby = self.standby().and_then(|standby| standby.meter.clone().zip(Some(standby.serial)));
        let Oversight { policy: Some(policy), usual, watch, .. } = &mut self.oversight else { return };
        let now = Instant::now();
        let before = usual.take();
        *watch = standby.filter(|_| is_on_probation).map(|(meter, serial_before)| {
            let all = meter.sums();
            let before = before.filter(|usual| usual.serial == serial_before);
            let usual = before.map_or_else(|| all.clone(), |usual| usual.at_last(&all, policy));
            Watch {
                serial,
                since: now,
                since_ms: now_ms(),
                look_at: now + between(policy, Duration::ZERO),
                usual: Arc::new(usual),
                health: Health::Unknown,
                ask_at: now,
                asked: None,
                inside: HashMap::new(),
                condemned: None,
                is_told: false,
            }
        });
        self.write_board();
    }

    /// A push has come. The version on probation is judged once more: if its health speaks against it, its predecessor
    /// takes over first, and it's that which the candidate is to replace.
    pub(super) fn judge_before_push(&mut self, settings: &Settings) -> Result<(), PushError> {
        self.look(settings);
        let Some(reason) = self.oversight.watch.as_ref().and_then(|watch| watch.condemned.clone()) else {
            return Ok(());
        };
        let rolled_back = self.rollback(reason.clone(), settings);
        let asker = Asker::Engine { reason: Some(reason.to_string()) };
        settings.audit.rolled_back(&asker, self.name(), &rolled_back);
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
        // Counted from the end of what may have taken its time.
        let (now, elapsed) = (Instant::now(), watch.since.elapsed());
        let left = policy.window.checked_sub(elapsed).filter(|left| !left.is_zero());
        watch.look_at = now + between(policy, elapsed).min(left.unwrap_or(BETWEEN.1));
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
                suspect: path.suspicions.keeps_out().map(|suspicion| suspicion.method),
            };
            match judge(policy, &evidence) {
                Verdict::RollBack(reason) => watch.condemned = Some(reason),
                other => return Some(other),
            }
        }
        // What was found once doesn't become better.
        watch.condemned.clone().map(Verdict::RollBack)
    }

    /// Writes down what has become of a version.
    pub(super) fn note_verdict(&mut self, version: VersionNumber, reason: Option<Reason>) {
        self.oversight.watch = None;
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

    /// A version was rolled back: that is to last.
    pub(super) fn record_rollback(&mut self, withdrawn: Known) {
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
    pub(super) fn record_commit(&mut self) -> Result<(), RecordError> {
        self.oversight.record.as_mut().map_or(Ok(()), Record::commit)
    }

    /// The engine ends in good order, which says nothing against a version on probation.
    pub(super) fn end_probation(&mut self) {
        self.oversight.watch = None;
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
        let name = CandidateName { module: module.clone(), version: version.clone() };
        let file = format!("{module}.v{version}.so");
        let returned = content.map_err(PushError::from).and_then(|content| {
            let source = Source::Left { name: &file, content: &content, digest };
            let allowed = Allowed { older: true, ..Allowed::default() };
            let (staged, stages) = thread::stage(settings, source, Some(&name), allowed)?;
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

impl Watch {
    /// Asks the `health` hook if it's time, and takes its answer if it's there.
    fn ask(&mut self, active: &Loaded, path: &Arc<CallPath>, policy: &Probation, settings: &Settings) {
        if let Some(Asked { hook, began }) = self.asked.take() {
            match settings.hooks.look(hook) {
                Ok(Ok(answer)) => self.hear(answer),
                Ok(Err(error)) => self.health = Health::Bad { reason: error.to_string() },
                Err(hook) => {
                    let waited = began.get().map(Instant::elapsed);
                    match waited.filter(|waited| *waited >= settings.hooks.deadline()) {
                        Some(waited) => self.health = Health::Hung { waited },
                        None => self.asked = Some(Asked { hook, began }),
                    }
                }
            }
        }
        let now = Instant::now();
        if self.asked.is_some()
            || now < self.ask_at
            || matches!(self.health, Health::Bad { .. } | Health::Hung { .. })
        {
            return;
        }
        self.ask_at = now + policy.health_every;
        let began = Arc::new(OnceLock::new());
        let (hook, serial, path) = (active.library.entry().health, active.serial.0, path.clone());
        let beginning = began.clone();
        let run = move || {
            let guard = Guard::enter(&path).ok()?;
            guard.share_state(serial, |state, context| {
                // Nobody else sets it.
                let _ = beginning.set(Instant::now());
                // SAFETY: the state is of the library's type, since the version with this serial number works on it; and
                // it's shared.
                unsafe { hook(state, context) }
            })
        };
        match settings.hooks.begin(&active.footprint, "health", run, drop) {
            Ok(hook) => self.asked = Some(Asked { hook, began }),
            // It's asked again.
            Err(error) => {
                tell(|| tracing::warn!(module = active.library.context().module(), "{error}"));
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Some(Ok(Ok(()))) => self.health = Health::Good,
            Some(Ok(Err(reason))) => self.health = Health::Bad { reason },
            Some(Err(panic)) => {
                let reason = format!("`health` panicked at {}: {}", panic.location, panic.message);
                self.health = Health::Bad { reason };
            }
            // The state may not be looked at now.
            None => {}
        }
    }

    /// The call that hasn't got on for longest.
    fn stuck(&mut self, path: &CallPath, meter: &Meter) -> Option<Stuck> {
        let holders = path.holders(self.serial.0);
        let calls: HashMap<_, _> =
            if holders.is_empty() { HashMap::new() } else { meter.progress().into_iter().collect() };
        let mut before = std::mem::take(&mut self.inside);
        let now = Instant::now();
        let mut longest: Option<Stuck> = None;
        for Holding { thread, thread_id, hold, .. } in holders {
            let Hold::Call(Some(method)) = hold else { continue };
            let calls = calls.get(&thread_id).copied().unwrap_or(0);
            let seen = before.remove(&thread_id).filter(|seen| seen.calls == calls);
            let seen = seen.unwrap_or(Seen { calls, since: now });
            let age = now - seen.since;
            if longest.as_ref().is_none_or(|longest| longest.age < age) {
                longest = Some(Stuck { thread, thread_id, method: path.methods[method].name, age });
            }
            self.inside.insert(thread_id, seen);
        }
        longest
    }
}

/// How long until the next look.
fn between(policy: &Probation, elapsed: Duration) -> Duration {
    let shortest = BETWEEN.0.min(policy.window / PART);
    (elapsed / PART).clamp(shortest, BETWEEN.1)
}

fn known(loaded: &Loaded) -> Known {
    Known { version: loaded.number.clone(), digest: loaded.copy.digest }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}
