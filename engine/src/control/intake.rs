//! Taking candidates in: what is pushed, and what a look through the watched folders finds.
//!
//! A candidate's bytes are taken, its signature is checked, it's copied and read, and its module takes it from there.
//! What somebody asks for is tried each time. What a watched folder offers is tried once: a file may lie there for long
//! after it was refused or rolled back, and still be the newest. So what was refused is remembered, with all that the
//! refusal came of, and what was rolled back.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use liveswap_state::BuiltIn;

use super::admission::AdmissionError;
use super::audit::PushRecord;
use super::authority::Evidence;
use super::events::Event;
use super::mailbox::{Allowed, Candidate, PushRequest};
use super::module::{Module, ask, micros};
use super::observer::SwapStep;
use super::staged::Staged;
use super::thread::Worker;
use super::{Asker, Settings};
use crate::candidate::accept::{Accepted, Source, accept, is_being_written, take};
use crate::candidate::private::PrivateCopy;
#[cfg(feature = "watch")]
use crate::candidate::signature::signed_by;
use crate::candidate::walk::{refuse_outside, walk};
use crate::candidate::{AcceptError, CandidateName, Digest, VerifyError, VersionNumber, manifest, verify};
use crate::engine::PushOutcome;
use crate::error::PushError;
use crate::status::Stages;
use crate::tell::tell;

/// How many refused contents are remembered, so that the watched folder doesn't try them again.
const REMEMBERED_MAX: usize = 1024;

/// What was added last, the oldest first.
struct Ring<T>(VecDeque<T>);

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: PartialEq> Ring<T> {
    fn contains(&self, value: &T) -> bool {
        self.0.contains(value)
    }

    fn remove(&mut self, value: &T) {
        self.0.retain(|known| known != value);
    }

    fn add(&mut self, value: T) {
        if !self.contains(&value) {
            if self.0.len() == REMEMBERED_MAX {
                self.0.pop_front();
            }
            self.0.push_back(value);
        }
    }
}

/// Who asks for a push.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Somebody who wants this very file and hears of the outcome.
    Asked,
    /// A file was just put into the watched folder: each content is tried once.
    Noticed,
    /// A look through the watched folder found a file that may have lain there for long.
    Scanned,
}

/// A refusal that holds as long as the same version is active.
#[derive(Clone, PartialEq)]
struct Refused {
    content: Digest,
    /// The name is part of what was refused: it may have been the fault.
    name: String,
    /// What was active, in the module that it is named for. Another state, or an older version, may make the content welcome.
    beside: Vec<Option<Digest>>,
    /// What it was judged by, if the signature was at fault: with another one, or once another key is trusted, the
    /// content may be welcome.
    evidence: Option<Evidence>,
}

/// What watched folders needn't offer again.
#[derive(Default)]
pub(super) struct Remembered {
    refused: Ring<Refused>,
    /// What was rolled back, and comes back only when somebody asks for it.
    withdrawn: Ring<Digest>,
}

/// What became of a candidate that was taken in.
pub(super) enum Taken<T> {
    /// Its very bytes are active already, in this module.
    Unchanged { module: String, version: VersionNumber },
    /// What its module has made of it.
    Handed(T),
}

impl Worker {
    /// What was refused may be welcome now.
    pub(super) fn forget_refused(&mut self) {
        self.remembered.refused = Ring::default();
    }

    /// `Ok(None)`: a watched folder offered a content that was tried before.
    pub(super) fn push(
        &mut self,
        request: &PushRequest,
        origin: Origin,
    ) -> Result<Option<PushOutcome>, PushError> {
        let name = request.candidate.name();
        self.while_busy(format!("{name} is being pushed"), |thread| {
            let mut record = thread.settings.audit.begin_push();
            let push = |thread: &mut Self, staged, stages| thread.push_staged(staged, stages, request, origin == Origin::Asked);
            let outcome = thread.take_in(request, &name, origin, &mut record, push);
            let outcome = outcome.map(|taken| {
                taken.map(|taken| match taken {
                    Taken::Unchanged { module, version } => PushOutcome::Unchanged { module, version },
                    Taken::Handed(outcome) => outcome,
                })
            });
            if let Err(error) = &outcome {
                tell(|| tracing::warn!(candidate = name, asker = %request.asker, code = error.code(), "refused: {error}"));
            }
            match &outcome {
                Ok(Some(outcome)) => thread.settings.events.tell_published(outcome),
                Ok(None) => {}
                Err(error) => thread.settings.events.tell_failed(name, error.code(), error),
            }
            thread.settings.audit.pushed(request, &record, &outcome);
            outcome
        })
    }

    /// Has the candidate's module push it, alone; or all instances, if it's of a factory.
    fn push_staged(
        &mut self,
        staged: Staged,
        stages: Stages,
        request: &PushRequest,
        is_asked_for: bool,
    ) -> Result<Option<PushOutcome>, PushError> {
        let module = staged.module().to_owned();
        if let Some(set) = self.factory(&module) {
            return self.push_factory(set, staged, stages).map(Some);
        }
        match self.position(&module) {
            Some(place) if let Some(factory) = self.modules[place].factory() => {
                Err(AdmissionError::Instance { factory: factory.to_owned(), module }.into())
            }
            Some(place) => self.give(place, staged, stages, is_asked_for).map(Some),
            None => Ok(self.push_new(staged, stages, request)?.map(PushOutcome::Published)),
        }
    }

    pub(super) fn position(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|known| known.name() == module)
    }

    pub(super) fn unknown(&self, module: &str) -> PushError {
        VerifyError::UnknownModule { found: module.to_owned(), known: self.known() }.into()
    }

    /// Takes a candidate's bytes, checks and reads them, and hands it on to whoever has a place for it. `Ok(None)` as
    /// above.
    pub(super) fn take_in<T>(
        &mut self,
        request: &PushRequest,
        name: &str,
        origin: Origin,
        record: &mut PushRecord,
        hand_on: impl FnOnce(&mut Self, Staged, Stages) -> Result<Option<T>, PushError>,
    ) -> Result<Option<Taken<T>>, PushError> {
        let named = CandidateName::parse(name);
        let mut concerns = named.as_ref().map(|name| name.module.clone());
        record.module.clone_from(&concerns);
        let started = Instant::now();
        if let (Candidate::File(path), Asker::Folder(_)) = (&request.candidate, &request.asker) {
            self.refuse_outside(path).inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        }
        ask(&self.settings, None, SwapStep::Accept)
            .inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        let proof = self.settings.authority.proof(request);
        let proof = proof.inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        let taken = take(request.candidate.source(), self.settings.candidate_size_max)
            .inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        record.see(&taken.content);
        let digest = taken.digest;
        let is_beside =
            |module: &&Module| named.as_ref().is_none_or(|named| named.module == module.candidates());
        let beside = self.modules.iter().filter(is_beside).map(Module::active_digest).collect();
        let refused = Refused { content: digest, name: name.to_owned(), beside, evidence: None };
        let unsigned = Refused { evidence: Some(proof.evidence()), ..refused.clone() };
        if origin != Origin::Asked && self.remembered.refused.contains(&unsigned) {
            return Ok(pass_over(name, origin));
        }
        let is_active = self.modules.iter().any(|module| module.active_digest() == Some(digest))
            || self.factory_with(digest).is_some();
        let is_remembered =
            self.remembered.refused.contains(&refused) || self.remembered.withdrawn.contains(&digest);
        if let (Candidate::File(path), Asker::Folder(_), false) =
            (&request.candidate, &request.asker, is_active || is_remembered)
        {
            self.settings.events.tell(|| Event::Seen { path: path.clone() });
        }
        // Of one that isn't signed as it must be, nothing more is read, and nothing is told.
        if let Err(error) = proof.check(name, &taken.content) {
            self.count_refused(concerns.as_deref());
            self.remembered.refused.add(unsigned);
            return Err(error.into());
        }
        let active = self.modules.iter().find(|module| module.active_digest() == Some(digest));
        let active = active.and_then(|module| Some((module.name().to_owned(), module.active_number()?)));
        if let Some((module, version)) = self.factory_with(digest).or(active) {
            if origin == Origin::Noticed {
                tell(
                    || tracing::info!(candidate = name, %version, "unchanged: its content is active already"),
                );
            }
            return Ok(Some(Taken::Unchanged { module, version }));
        }
        if origin != Origin::Asked && is_remembered {
            return Ok(pass_over(name, origin));
        }
        if origin != Origin::Asked && self.is_waiting(digest) {
            return Ok(None);
        }
        let accepted =
            taken.copy(&self.settings.folder).inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        self.settings.observer.told(None, SwapStep::Accept);
        let stages = Stages { accept: Some(micros(started.elapsed())), ..Stages::default() };
        let rehearsal = request.allowed.rehearsal;
        let rehearsal = rehearsal.unwrap_or_else(|| self.settings.rehearsal.is_default_for(&request.asker));
        let allowed = Allowed { rehearsal: Some(rehearsal), ..request.allowed };
        let outcome =
            read(&self.settings, accepted, named.as_ref(), allowed, stages).and_then(|(staged, stages)| {
                let module = staged.module().to_owned();
                concerns = Some(module);
                (record.module, record.version) = (concerns.clone(), Some(staged.readable.version.clone()));
                hand_on(self, staged, stages)
            });
        if let Err(error) = &outcome {
            self.count_refused(concerns.as_deref());
            // What isn't the content's fault may be over the next time.
            if is_lasting(error) {
                self.remembered.refused.add(refused);
            }
        }
        self.note_withdrawn();
        match outcome? {
            Some(handed) => {
                // Whoever asks for what was rolled back takes that back.
                self.remembered.withdrawn.remove(&digest);
                Ok(Some(Taken::Handed(handed)))
            }
            None => Ok(pass_over(name, origin)),
        }
    }

    /// Refuses a file of a watched folder that doesn't lie within it, or lies where everybody may write.
    fn refuse_outside(&self, path: &Path) -> Result<(), AcceptError> {
        let roots = self.settings.watched.iter().filter(|root| path.starts_with(root));
        let root = roots.max_by_key(|root| root.as_os_str().len());
        // Only a watched folder offers, so there is one.
        refuse_outside(root.map_or_else(|| path.parent().unwrap_or(path), PathBuf::as_path), path)
    }

    pub(super) fn count_refused(&self, module: Option<&str>) {
        let Some(name) = module else { return };
        if let Some(set) = self.factory(name) {
            self.count_refused_of(set);
        } else if let Some(module) = self.modules.iter().find(|known| known.name() == name) {
            module.count_refused();
        }
    }

    /// What was rolled back, a watched folder needn't bring back: there it may still be the newest.
    pub(super) fn note_withdrawn(&mut self) {
        for withdrawn in self.modules.iter_mut().flat_map(Module::take_withdrawn) {
            self.remembered.withdrawn.add(withdrawn);
        }
    }

    /// A watched folder needn't offer this content again.
    pub(super) fn withdraw(&mut self, digest: Digest) {
        self.remembered.withdrawn.add(digest);
    }

    /// Pushes what was put into a watched folder. If that is a signature, the file beside it may have been refused for
    /// want of it.
    #[cfg(feature = "watch")]
    pub(super) fn notice(&mut self, path: PathBuf) {
        let Some(signed) = signed_by(&path) else { return self.offer(path, Origin::Noticed) };
        // A signature that comes first, as it should, waits for its file; the file's end is noticed too.
        if signed.is_file() && !is_being_written(&signed) {
            self.offer(signed, Origin::Noticed);
        }
    }

    /// Pushes a file of a watched folder. Files that aren't named like candidates are passed over: an
    /// editor's or a copy's temporary file isn't anybody's mistake.
    fn offer(&mut self, path: PathBuf, origin: Origin) {
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let candidate = Candidate::File(path.clone());
        if CandidateName::parse(&candidate.name()).is_some() {
            // What is refused has been logged and counted; nobody waits for the outcome.
            let request = PushRequest {
                candidate,
                signature: None,
                allowed: Allowed::default(),
                asker: Asker::Folder(folder),
            };
            match self.push(&request, origin) {
                Ok(Some(_)) => self.settings.faults.clear(&path),
                // It was tried before: what there was to say against it still holds.
                Ok(None) => {}
                Err(error) => self.settings.faults.note(&path, error.code(), error.to_string()),
            }
        }
    }

    /// Offers, for each module, the newest file that is as new as what is active or newer; if it's refused, the
    /// next older one. A module comes after those that it requires. What then can be started is.
    pub(super) fn rescan(&mut self) {
        let walked: Vec<_> = self.settings.watched.iter().map(|folder| walk(folder)).collect();
        let there: HashSet<_> = walked.iter().flat_map(|walked| &walked.files).collect();
        self.settings.faults.keep(|path| there.contains(&path.to_owned()));
        for (path, error) in walked.iter().flat_map(|walked| &walked.faults) {
            let (folder, code) = (path.display(), error.code());
            tell(|| tracing::warn!(%folder, code, %error, "can't look through the watched folder"));
            self.settings.faults.note(path, code, error.to_string());
        }
        let files = walked.into_iter().flat_map(|walked| walked.files);
        let place = |name: &CandidateName| {
            // Those that aren't there yet come last.
            let factory = self.factory(&name.module).map(|set| self.place_of_factory(set));
            factory.or_else(|| self.position(&name.module)).unwrap_or(usize::MAX)
        };
        let named = |path: PathBuf| {
            let name = CandidateName::parse(path.file_name()?.to_str()?)?;
            Some((place(&name), name, path))
        };
        let mut found: Vec<_> = files.filter_map(named).collect();
        // By path among those of one version, so that what is taken doesn't depend on the order of a walk.
        found.sort_by(|(place, one, here), (other_place, other, there)| {
            place.cmp(other_place).then(other.version.cmp(&one.version)).then(here.cmp(there))
        });
        for (_, name, path) in found {
            let active = match self.factory(&name.module) {
                Some(set) => Some(self.factory_version(set).cloned()),
                None => self.position(&name.module).map(|place| self.modules[place].active_number()),
            };
            let is_wanted = match active {
                // One of the same number may have other bytes, and whoever put it there should hear of it.
                Some(active) => active.is_none_or(|active| name.version >= active),
                None => self.settings.openings.covers(&path),
            };
            if is_wanted {
                if is_being_written(&path) {
                    tell(
                        || tracing::info!(path = %path.display(), "not ready: somebody is still writing it"),
                    );
                    self.settings.events.tell(|| Event::NotReady { path: path.clone() });
                } else {
                    self.offer(path, Origin::Scanned);
                }
            }
        }
        self.start_what_can_be();
    }
}

/// Takes a candidate in and reads it: all that can be done before its module is asked.
pub(super) fn stage(
    settings: &Settings,
    source: Source<'_>,
    named: Option<&CandidateName>,
    allowed: Allowed,
) -> Result<(Staged, Stages), PushError> {
    if let Source::Kept(PrivateCopy { built_in: Some(built_in), .. }) = source {
        return stage_built_in(settings, *built_in, allowed);
    }
    let started = Instant::now();
    let accepted = accept(&settings.folder, source, settings.candidate_size_max)?;
    let stages = Stages { accept: Some(micros(started.elapsed())), ..Stages::default() };
    read(settings, accepted, named, allowed, stages)
}

/// The same for an implementation that is linked into the host.
pub(super) fn stage_built_in(
    settings: &Settings,
    built_in: BuiltIn,
    allowed: Allowed,
) -> Result<(Staged, Stages), PushError> {
    let copy = PrivateCopy::of_built_in(&settings.folder, built_in)?;
    let section = built_in.entry().manifest;
    let (manifest, _) = manifest::parse(section).map_err(VerifyError::from)?;
    let readable = verify::readable(manifest, None)?;
    let staged = Staged::new(readable, section.to_vec(), copy, allowed, settings.bell.clone());
    Ok((staged, Stages::default()))
}

fn read(
    settings: &Settings,
    Accepted { copy, content }: Accepted<'_>,
    named: Option<&CandidateName>,
    allowed: Allowed,
    stages: Stages,
) -> Result<(Staged, Stages), PushError> {
    let started = Instant::now();
    let (manifest, section) = manifest::read(&content).map_err(VerifyError::from)?;
    let readable = verify::readable(manifest, named)?;
    let staged = Staged::new(readable, section, copy, allowed, settings.bell.clone());
    Ok((staged, Stages { verify: Some(micros(started.elapsed())), ..stages }))
}

/// Whether the same content would be refused again.
fn is_lasting(error: &PushError) -> bool {
    match error {
        // A folder may make the module, if it's put there.
        PushError::Verify(VerifyError::UnknownModule { .. }) => false,
        // What the system or the disk had to say may be over the next time.
        PushError::Verify(_) | PushError::Load(_) | PushError::Prepare(_) => {
            !matches!(error.code(), "no-thread" | "no-memory-map" | "unreadable-snapshot")
        }
        PushError::Lifecycle(error) => error.is_lasting(),
        PushError::Rehearse(error) => error.is_lasting(),
        // What was refused is forgotten when a module goes.
        PushError::Admission(AdmissionError::TooMany { .. }) => true,
        PushError::Instance { source, .. } => is_lasting(source),
        _ => false,
    }
}

/// Says that a content which was tried before isn't tried again, where that may surprise somebody.
fn pass_over<T>(name: &str, origin: Origin) -> Option<Taken<T>> {
    if origin == Origin::Noticed {
        let why = "passed over: its content was refused or rolled back before";
        tell(|| tracing::info!(candidate = name, "{why}"));
    }
    None
}
