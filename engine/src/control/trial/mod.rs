//! The trial: what a rehearsal does with the two versions, inside its own process.
//!
//! In this order: both versions are loaded and prepared, and the candidate tests itself; a copy of the state is
//! migrated to the candidate's shape and back, and must be what it was; recorded calls are made on both versions, each
//! with a copy of its own ([`answers`] says what counts as a disagreement); and at last the candidate is retired.
//!
//! Each step is told before it's taken: a crash says nothing any more.

mod answers;
mod subject;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use liveswap_state::{CodecError, Decoder, SharedOptions, State as _};

use super::departure::Departure;
use super::migration::{Migration, MigrationError, unfence};
use super::reaper::Reaper;
use super::restore::{migrate, restore_here};
use crate::call::suspicion::SuspectPolicy;
use crate::call::{Bell, CallPath};
use crate::candidate::state::{Way, way};
use crate::config::value;
use crate::host::hook;
use crate::rehearsal::child::Speaker;
use crate::rehearsal::order::{CALLS, Doing, Message, Order, Passed, STATE, Side, Stage};
use crate::rehearsal::report::NotCompared;
use crate::snapshot::intact::Intact;
use answers::{Answer, Call, Comparison};
use subject::Subject;

/// How often a disagreement is looked at again.
const DOUBTS: usize = 5;

/// After which time the reaper would say that the candidate is still held. Nobody hears it.
const RETIRED_WITHIN: Duration = Duration::from_secs(60);

/// The names of methods that aren't compared, each with the reason.
type SetAside = BTreeMap<String, String>;

/// How a trial ends that the candidate doesn't pass.
type Failure = Box<Message>;

fn failed(stage: &Stage, reason: impl Into<String>) -> Failure {
    Box::new(Message::Failed { stage: stage.clone(), reason: reason.into() })
}

/// Carries out an order. `speaker` tells each step.
pub(crate) fn rehearse(folder: &Path, order: &Order, speaker: &Speaker) -> Message {
    match Trial::begin(folder, order, speaker).and_then(Trial::run) {
        Ok(passed) => Message::Passed(passed),
        Err(failure) => *failure,
    }
}

struct Trial<'order> {
    folder: &'order Path,
    order: &'order Order,
    speaker: &'order Speaker,
    bell: Arc<Bell>,
    /// None if there is no active version.
    running: Option<Subject>,
    candidate: Subject,
}

impl<'order> Trial<'order> {
    /// Loads and prepares both versions.
    fn begin(folder: &'order Path, order: &'order Order, speaker: &'order Speaker) -> Result<Self, Failure> {
        let bell = Arc::new(Bell::new());
        let options: toml::Table = order.options.parse().map_err(|error: toml::de::Error| {
            failed(&Stage { side: Side::Candidate, doing: Doing::Configure }, error.to_string())
        })?;
        let options = Arc::new(SharedOptions::new(value::options(options)));
        let begin = |side, library: &Path| {
            let stage = Stage { side, doing: Doing::Load };
            speaker.begin(&stage);
            let subject =
                Subject::load(side, folder, library, order.candidate_size_max, bell.clone(), options.clone());
            let subject = subject.map_err(|reason| failed(&stage, reason))?;
            let stage = Stage { side, doing: Doing::Prepare };
            speaker.begin(&stage);
            let prepared = subject.ask("prepare", subject.library.entry().prepare);
            prepared.map_err(|reason| failed(&stage, reason))?;
            Ok::<_, Failure>(subject)
        };
        let running = order.running.as_deref().map(|running| begin(Side::Running, running)).transpose()?;
        let candidate = begin(Side::Candidate, &order.candidate)?;
        Ok(Self { folder, order, speaker, bell, running, candidate })
    }

    fn run(self) -> Result<Passed, Failure> {
        let stage = self.step(Side::Candidate, Doing::SelfTest);
        let tested = self.candidate.ask("self_test", self.candidate.library.entry().self_test);
        tested.map_err(|reason| failed(&stage, reason))?;
        let passed = match &self.running {
            Some(running) => {
                self.migrate_there_and_back(running)?;
                self.replay(running)?
            }
            None => {
                let state = self.create(&self.candidate)?;
                self.drop_state(&self.candidate, state);
                Passed { calls: 0, compared: 0, not_compared: Vec::new() }
            }
        };
        self.retire()?;
        Ok(passed)
    }

    fn step(&self, side: Side, doing: Doing) -> Stage {
        let stage = Stage { side, doing };
        self.speaker.begin(&stage);
        stage
    }

    fn create(&self, subject: &Subject) -> Result<*mut (), Failure> {
        let stage = self.step(subject.side, Doing::Create);
        let (create, context) = (subject.library.entry().create, subject.library.context());
        let created = unfence(hook::call(&subject.footprint, "create", || create(context)));
        let created = created.map_err(|error| failed(&stage, error.to_string()))?;
        let stage = self.step(subject.side, Doing::Configure);
        let (configure, options) = (subject.library.entry().configure, context.options());
        // SAFETY: it was made just now, of this type, and is nobody else's.
        let configure = || unsafe { configure(created, &options, context) };
        let configured = unfence(hook::call(&subject.footprint, "configure", configure));
        let configured = configured.map_err(|error| error.to_string()).and_then(|answer| answer);
        configured.map_err(|reason| failed(&stage, reason))?;
        Ok(created)
    }

    /// A copy of the state, as the active version has it.
    fn copy(&self, running: &Subject) -> Result<*mut (), Failure> {
        if !self.order.has_state {
            return self.create(running);
        }
        let stage = self.step(Side::Running, Doing::Restore);
        let snapshot = Intact::open(&self.folder.join(STATE));
        let mut snapshot = snapshot.map_err(|error| failed(&stage, error.to_string()))?;
        let restored = restore_here(&running.library, &running.manifest.state, &mut snapshot);
        restored.map(|state| state.0).map_err(|error| failed(&stage, error.to_string()))
    }

    fn drop_state(&self, subject: &Subject, state: *mut ()) {
        self.step(subject.side, Doing::Destroy);
        let destroy = subject.library.entry().state.destroy;
        // A panic was logged when it happened.
        // SAFETY: it's a state of this subject's, made in this trial, and not used any more.
        let _ = hook::call(&subject.footprint, "destroy", || unsafe { destroy(state) });
    }

    /// The migrations from the active version's state to the candidate's, and back again, as far as there are any.
    fn migrations(&self, running: &Subject) -> Result<(Option<Migration>, Option<Migration>), Failure> {
        let stage = Stage { side: Side::Candidate, doing: Doing::Migrate };
        let way = way(&self.candidate.manifest.state, &running.manifest.state);
        let (candidate, running) = (&self.candidate.library, &running.library);
        match way.map_err(|error| failed(&stage, error.to_string()))? {
            Way::InPlace => Ok((None, None)),
            Way::Upgrade { steps, is_one_way } => {
                let back = (!is_one_way).then(|| Migration::downgrade(candidate, steps));
                Ok((Some(Migration::upgrade(candidate, steps)), back))
            }
            Way::Downgrade { steps } => {
                Ok((Some(Migration::downgrade(running, steps)), Some(Migration::upgrade(running, steps))))
            }
        }
    }

    fn migrate(&self, doing: Doing, migration: &Migration, state: *mut ()) -> Result<*mut (), Failure> {
        let stage = self.step(Side::Candidate, doing);
        let migrated = hook::call(&self.candidate.footprint, "migrate", || migrate(migration, state, &|| {}));
        migrated.map_err(|error| failed(&stage, error.to_string()))
    }

    /// A copy of the state that was migrated there and back again must be what it was.
    fn migrate_there_and_back(&self, running: &Subject) -> Result<(), Failure> {
        let (Some(there), back) = self.migrations(running)? else { return Ok(()) };
        let state = self.copy(running)?;
        let before = self.picture(Side::Running, running, state)?;
        let state = self.migrate(Doing::Migrate, &there, state)?;
        let Some(back) = back else {
            self.drop_state(&self.candidate, state);
            return Ok(());
        };
        let state = self.migrate(Doing::MigrateBack, &back, state)?;
        let after = self.picture(Side::Candidate, running, state)?;
        self.drop_state(running, state);
        if before == after {
            return Ok(());
        }
        let stage = Stage { side: Side::Candidate, doing: Doing::MigrateBack };
        let place = before.iter().zip(&after).take_while(|(before, after)| before == after).count();
        Err(failed(
            &stage,
            format!(
                "it isn't what it was: found {} bytes, expected {}, and the first difference at byte {place}; what the \
                 former shape has, the way back must give again (or say `one_way`)",
                after.len(),
                before.len()
            ),
        ))
    }

    /// All of a state of the active version's, as bytes that are the same for equal states.
    fn picture(&self, side: Side, running: &Subject, state: *mut ()) -> Result<Vec<u8>, Failure> {
        let stage = self.step(side, Doing::Look);
        let picture = running.library.entry().state.picture;
        // SAFETY: the state is of this type, and nobody else's.
        let taken = unfence(hook::call(&running.footprint, "snapshot", || unsafe { picture(state) }));
        let taken = taken.and_then(|taken| taken.map_err(MigrationError::from));
        taken.map_err(|error| failed(&stage, error.to_string()))
    }

    /// Makes the recorded calls on both versions.
    fn replay(&self, running: &Subject) -> Result<Passed, Failure> {
        let (calls, mut set_aside) = self.calls(running)?;
        // All of them once: nothing may crash or hang, and no panic be new.
        let first = self.compare(running, &calls, None, true)?;
        let declared = &self.candidate.manifest.differences;
        let is_declared = |name: &str| declared.iter().any(|known| known == name || known == "*");
        for (call, expected) in first.calls.iter().zip(&first.expected) {
            let why = match expected {
                _ if is_declared(&call.method) => "the candidate says that its answers differ".to_owned(),
                Answer::Given { .. } => continue,
                Answer::Panicked { .. } => "the active version panics in it".to_owned(),
                Answer::Impossible(error) => error.to_string(),
            };
            set_aside.insert(call.method.clone(), why);
        }
        set_aside.extend(first.varying);
        let made = calls.len() as u64;
        let comparable: Vec<_> =
            calls.iter().filter(|call| !set_aside.contains_key(&call.method)).cloned().collect();
        let rounds = (comparable.len() == calls.len()).then_some((first.expected, first.found));
        let second = self.compare(running, &comparable, rounds, false)?;
        let compared = second.compared();
        set_aside.extend(second.varying);
        let not_compared = set_aside.into_iter().map(|(method, why)| NotCompared::new(method, why)).collect();
        Ok(Passed { calls: made, compared, not_compared })
    }

    /// Makes calls on both versions, and compares what has come of it: whether panics are new, or all of it.
    fn compare<'calls>(
        &self,
        running: &Subject,
        calls: &'calls [Call],
        rounds: Option<(Vec<Answer>, Vec<Answer>)>,
        only_panics: bool,
    ) -> Result<Comparison<'calls>, Failure> {
        let (expected, found) = match rounds {
            Some(rounds) => rounds,
            None => (self.round(running, running, calls)?, self.round(running, &self.candidate, calls)?),
        };
        let mut comparison = Comparison::new(calls, expected, found, only_panics);
        for _ in 0..DOUBTS {
            if comparison.disagreement().is_none() {
                return Ok(comparison);
            }
            comparison.expect_again(&self.round(running, running, calls)?);
            comparison.find_again(self.round(running, &self.candidate, calls)?);
        }
        match comparison.disagreement() {
            None => Ok(comparison),
            Some(place) => {
                let Call { method, arguments } = &calls[place];
                Err(Box::new(Message::Disagreed {
                    method: method.clone(),
                    arguments: answers::shown(arguments, arguments.len()),
                    found: comparison.found[place].to_string(),
                    expected: comparison.expected[place].to_string(),
                }))
            }
        }
    }

    /// Makes calls on a version, with a copy of the state of its own.
    fn round(&self, running: &Subject, subject: &Subject, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        let mut state = self.copy(running)?;
        if subject.side == Side::Candidate
            && let (Some(there), _) = self.migrations(running)?
        {
            state = self.migrate(Doing::Migrate, &there, state)?;
        }
        let answer = |call: &Call| {
            self.step(subject.side, Doing::Replay { method: call.method.clone() });
            // SAFETY: the state is of the version's own type, and nobody else's.
            unsafe { subject.replay(call, state) }
        };
        let answers = calls.iter().map(answer).collect();
        self.drop_state(subject, state);
        Ok(answers)
    }

    /// The recorded calls that both versions have the method of; and the methods that are left out.
    fn calls(&self, running: &Subject) -> Result<(Vec<Call>, SetAside), Failure> {
        let stage = Stage { side: Side::Running, doing: Doing::Restore };
        let read = fs::read(self.folder.join(CALLS)).map_err(|error| failed(&stage, error.to_string()))?;
        let calls = decode(&read).map_err(|error| failed(&stage, error.to_string()))?;
        let mut set_aside = SetAside::new();
        let mut known = Vec::new();
        for (method, arguments) in calls {
            if self.order.excluded.contains(&method) {
                continue;
            }
            if running.method(&method).is_none() || running.method(&method) != self.candidate.method(&method)
            {
                set_aside.insert(method, "not both versions have it".to_owned());
            } else {
                known.push(Call { method, arguments });
            }
        }
        Ok((known, set_aside))
    }

    /// The candidate leaves memory, as it will one day after it has served.
    fn retire(self) -> Result<(), Failure> {
        let stage = self.step(Side::Candidate, Doing::Retire);
        let Subject { serial, number, footprint, library, copy, .. } = self.candidate;
        let module = library.context().module().to_owned();
        let path = CallPath::new(module, &[], self.bell.clone(), SuspectPolicy::default());
        let reaper =
            Reaper::start(self.bell, RETIRED_WITHIN).map_err(|error| failed(&stage, error.to_string()))?;
        // Whether it goes is nothing that would keep it from serving: it only mustn't crash.
        reaper.discard(
            Arc::new(path),
            Departure { serial, number, footprint, library, copy, is_prepared: true },
        );
        Ok(())
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, CodecError> {
    let mut decoder = Decoder::new(bytes);
    let calls = <Vec<(String, Vec<u8>)>>::decode(&mut decoder)?;
    decoder.finish()?;
    Ok(calls)
}
