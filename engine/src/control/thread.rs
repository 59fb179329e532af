//! The control thread: carries out commands, one after the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, at, never, select};

use super::audit::PushRecord;
use super::authority::Evidence;
use super::mailbox::{Allowed, Candidate, Command, Inbox, Mailbox, PushRequest, Recovery, Reply, Shared};
use super::module::{Module, ask, micros};
use super::observer::SwapStep;
use super::reaper::{Reaper, deadline_in};
use super::staged::Staged;
use super::{Asker, Settings};
use crate::call::owed;
use crate::candidate::accept::{Accepted, Source, accept, is_being_written, take};
#[cfg(feature = "watch")]
use crate::candidate::signature::signed_by;
use crate::candidate::{CandidateName, Digest, VerifyError, VersionNumber, folder, manifest, verify};
use crate::engine::{Published, PushOutcome};
use crate::error::{CommitError, PushError, RecoverError, RollbackError, TakeError};
use crate::lock::lock;
use crate::probation::Reason;
use crate::spawn::Jobs;
use crate::status::{SnapshotTaken, Stages};
use crate::tell::tell;

/// How many refused contents are remembered, so that the watched folder doesn't try them again.
const REMEMBERED_MAX: usize = 1024;

/// The control thread, and what the engine needs to end it.
pub(crate) struct Control {
    pub(crate) mailbox: Mailbox,
    reaper: Arc<Reaper>,
    jobs: Arc<Jobs>,
    /// Nothing is ever sent: dropping it is the message.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    pub(crate) fn start(
        modules: Vec<Module>,
        settings: Settings,
        reaper: Arc<Reaper>,
        jobs: Arc<Jobs>,
        running: Sender<Infallible>,
        woken: Receiver<()>,
    ) -> std::io::Result<Self> {
        let (mailbox, inbox) = Mailbox::new();
        for module in &modules {
            let wake = settings.wake.clone();
            // If it's full, somebody else has woken the thread.
            module.path.suspicions.listen(move || {
                let _ = wake.try_send(());
            });
        }
        let worker = Worker {
            modules,
            settings,
            reaper: reaper.clone(),
            jobs: jobs.clone(),
            shared: mailbox.shared.clone(),
            refused: Ring::default(),
            withdrawn: Ring::default(),
        };
        let thread = thread::Builder::new()
            .name("liveswap-control".into())
            .spawn(move || worker.run(&inbox, &woken))?;
        Ok(Self { mailbox, reaper, jobs, running: Some(running), thread: Some(thread) })
    }

    /// Ends the modules and the threads. Waits for calls in flight, up to the drain deadline.
    pub(crate) fn stop(&mut self) {
        // The thread that ends the engine waits here, and can't settle anything meanwhile.
        owed::settle_all();
        drop(self.running.take());
        // A subscriber may drop the engine on one of its own threads, or on one of logic's, which can't wait for
        // itself.
        let is_own_thread = self.mailbox.is_control_thread()
            || self.reaper.is_this_thread()
            || self.jobs.is_this_thread()
            || owed::is_running();
        if let Some(thread) = self.thread.take()
            && !is_own_thread
        {
            // An error says that the thread has panicked, which the panic hook has reported.
            let _ = thread.join();
        }
    }
}

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
enum Origin {
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
    /// What was active. Another state, or an older version, may make the content welcome.
    beside: Vec<Option<Digest>>,
    /// What it was judged by, if the signature was at fault: with another one, or once another key is trusted, the
    /// content may be welcome.
    evidence: Option<Evidence>,
}

struct Worker {
    modules: Vec<Module>,
    settings: Settings,
    reaper: Arc<Reaper>,
    jobs: Arc<Jobs>,
    shared: Arc<Shared>,
    /// What watched folders needn't offer again.
    refused: Ring<Refused>,
    /// What was rolled back, and comes back only when somebody asks for it.
    withdrawn: Ring<Digest>,
}

impl Worker {
    fn run(mut self, Inbox { commands, rescans, .. }: &Inbox, woken: &Receiver<()>) {
        *lock(&self.shared.control_thread) = Some(thread::current().id());
        let ended = self.settings.ended.clone();
        for module in &mut self.modules {
            module.return_to_recorded(&self.settings);
        }
        loop {
            self.tend();
            // A subscriber may have called the engine on this thread.
            owed::settle_all();
            let due = self.modules.iter().filter_map(Module::due).min().map_or_else(never, at);
            select! {
                recv(ended) -> _ => break,
                // Tended before the next wait.
                recv(woken) -> _ => {}
                recv(due) -> _ => {}
                recv(commands) -> command => match command {
                    Ok(command) => self.carry_out(command),
                    Err(_) => break,
                },
                // An error would say that the mailbox is gone, which the commands say too.
                recv(rescans) -> _ => self.rescan(),
            }
        }
        let deadline = deadline_in(self.settings.drain_deadline);
        // What waits is dropped before it could begin without a version.
        self.jobs.close();
        // All at once, so that no module takes calls while another is waited for.
        self.modules.iter().for_each(Module::close);
        self.jobs.join(deadline);
        for module in &mut self.modules {
            module.stop(&self.settings, deadline);
        }
        self.reaper.stop(deadline);
    }

    /// Looks after what goes on by itself.
    fn tend(&mut self) {
        for module in &mut self.modules {
            module.tend(&self.settings);
        }
        self.note_withdrawn();
    }

    /// What was rolled back, a watched folder needn't bring back: there it may still be the newest.
    fn note_withdrawn(&mut self) {
        for withdrawn in self.modules.iter_mut().flat_map(Module::take_withdrawn) {
            self.withdrawn.add(withdrawn);
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Push(request, reply) => {
                let outcome = self.push(&request, Origin::Asked);
                answer(
                    reply,
                    outcome.map(|pushed| pushed.expect("only what a watched folder offers is passed over")),
                );
            }
            Command::Rollback(name, asker, reply) => {
                let outcome = self.rollback(&name);
                self.settings.audit.rolled_back(&asker, &name, &outcome);
                answer(reply, outcome);
            }
            Command::Commit(name, asker, reply) => {
                let outcome = self.commit(&name);
                self.settings.audit.committed(&asker, &name, &outcome);
                answer(reply, outcome);
            }
            Command::Snapshot(name, asker, reply) => {
                // It's answered later, when it's on the disk.
                let (audit, module) = (self.settings.audit.clone(), name.clone());
                let note = move |outcome: &_| audit.snapshot_taken(&asker, &module, outcome);
                self.snapshot(&name, reply.noting(note));
            }
            Command::Recover(name, how, asker, reply) => {
                let outcome = self.recover(&name, how);
                self.settings.audit.recovered(&asker, &name, how, &outcome);
                answer(reply, outcome);
            }
            #[cfg(feature = "watch")]
            Command::Notice(path) => self.notice(path),
            // Dropping the sender tells whoever waits.
            Command::Rescan(_done) => self.rescan(),
        }
    }

    /// Names what is under way for as long as `work` takes.
    fn while_busy<R>(&mut self, what: String, work: impl FnOnce(&mut Self) -> R) -> R {
        /// On a panic too: whoever asks must then hear that the engine has stopped, not that it's busy.
        struct Done(Arc<Shared>);

        impl Drop for Done {
            fn drop(&mut self) {
                *lock(&self.0.under_way) = None;
            }
        }

        *lock(&self.shared.under_way) = Some(what);
        let _done = Done(self.shared.clone());
        work(self)
    }

    /// `Ok(None)`: a watched folder offered a content that was tried before.
    fn push(&mut self, request: &PushRequest, origin: Origin) -> Result<Option<PushOutcome>, PushError> {
        let name = request.candidate.name();
        self.while_busy(format!("{name} is being pushed"), |thread| {
            let mut record = thread.settings.audit.begin_push();
            let outcome = thread.take_in(request, &name, origin, &mut record);
            if let Err(error) = &outcome {
                tell(|| tracing::warn!(candidate = name, asker = %request.asker, code = error.code(), "refused: {error}"));
            }
            thread.settings.audit.pushed(request, &record, &outcome);
            outcome
        })
    }

    fn take_in(
        &mut self,
        request: &PushRequest,
        name: &str,
        origin: Origin,
        record: &mut PushRecord,
    ) -> Result<Option<PushOutcome>, PushError> {
        let named = CandidateName::parse(name);
        let mut concerns = named.as_ref().map(|name| name.module.clone());
        record.module.clone_from(&concerns);
        let started = Instant::now();
        if let (Candidate::File(path), Asker::Folder(_)) = (&request.candidate, &request.asker) {
            folder::refuse_open(path).inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        }
        ask(&self.settings, None, SwapStep::Accept)
            .inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        let proof = self.settings.authority.proof(request);
        let proof = proof.inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        let taken = take(request.candidate.source(), self.settings.candidate_size_max)
            .inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        record.see(&taken.content);
        let digest = taken.digest;
        let beside = self.modules.iter().map(Module::active_digest).collect();
        let refused = Refused { content: digest, name: name.to_owned(), beside, evidence: None };
        let unsigned = Refused { evidence: Some(proof.evidence()), ..refused.clone() };
        if origin != Origin::Asked && self.refused.contains(&unsigned) {
            return Ok(pass_over(name, origin));
        }
        // Of one that isn't signed as it must be, nothing more is read, and nothing is told.
        if let Err(error) = proof.check(name, &taken.content) {
            self.count_refused(concerns.as_deref());
            self.refused.add(unsigned);
            return Err(error.into());
        }
        if let Some(module) = self.modules.iter().find(|module| module.active_digest() == Some(digest)) {
            let version = module.active_number().expect("an active digest is of an active version");
            if origin == Origin::Noticed {
                tell(
                    || tracing::info!(candidate = name, %version, "unchanged: its content is active already"),
                );
            }
            return Ok(Some(PushOutcome::Unchanged { module: module.name().to_owned(), version }));
        }
        if origin != Origin::Asked && (self.refused.contains(&refused) || self.withdrawn.contains(&digest)) {
            return Ok(pass_over(name, origin));
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
                concerns = Some(module.clone());
                (record.module, record.version) = (concerns.clone(), Some(staged.readable.version.clone()));
                match self.modules.iter_mut().find(|known| known.name() == module) {
                    Some(known) => known.push(staged, stages, &self.settings),
                    None => Err(VerifyError::UnknownModule { found: module, known: self.known() }.into()),
                }
            });
        if let Err(error) = &outcome {
            self.count_refused(concerns.as_deref());
            // What isn't the content's fault may be over the next time.
            if is_lasting(error) {
                self.refused.add(refused);
            }
        }
        self.note_withdrawn();
        if outcome.is_ok() {
            // Whoever asks for what was rolled back takes that back.
            self.withdrawn.remove(&digest);
        }
        outcome.map(|published| Some(PushOutcome::Published(published)))
    }

    fn count_refused(&self, module: Option<&str>) {
        if let Some(module) = self.modules.iter().find(|known| Some(known.name()) == module) {
            module.count_refused();
        }
    }

    fn rollback(&mut self, name: &str) -> Result<Published, RollbackError> {
        self.while_busy(format!("module `{name}` is being rolled back"), |thread| {
            let known = thread.known();
            let Some(module) = thread.modules.iter_mut().find(|module| module.name() == name) else {
                return Err(RollbackError::UnknownModule { module: name.to_owned(), known });
            };
            let published = module.rollback(Reason::ByHand, &thread.settings);
            thread.note_withdrawn();
            published
        })
    }

    fn commit(&mut self, name: &str) -> Result<VersionNumber, CommitError> {
        self.while_busy(format!("module `{name}` is being committed"), |thread| {
            let known = thread.known();
            match thread.modules.iter_mut().find(|module| module.name() == name) {
                Some(module) => module.commit(&thread.settings),
                None => Err(CommitError::UnknownModule { module: name.to_owned(), known }),
            }
        })
    }

    fn snapshot(&mut self, name: &str, reply: Reply<SnapshotTaken, TakeError>) {
        let known = self.known();
        match self.modules.iter_mut().find(|module| module.name() == name) {
            Some(module) => module.snapshot(reply, &self.settings),
            None => answer(reply, Err(TakeError::UnknownModule { module: name.to_owned(), known })),
        }
    }

    fn recover(&mut self, name: &str, how: Recovery) -> Result<(), RecoverError> {
        self.while_busy(format!("the state of module `{name}` is being recovered"), |thread| {
            let known = thread.known();
            let Some(module) = thread.modules.iter_mut().find(|module| module.name() == name) else {
                return Err(RecoverError::UnknownModule { module: name.to_owned(), known });
            };
            match how {
                Recovery::Restore => module.recover(&thread.settings),
                Recovery::Trust => module.trust(&thread.settings),
            }
        })
    }

    fn known(&self) -> String {
        let names: Vec<_> = self.modules.iter().map(|module| format!("`{}`", module.name())).collect();
        names.join(", ")
    }

    /// Pushes what was put into a watched folder. If that is a signature, the file beside it may have been refused for
    /// want of it.
    #[cfg(feature = "watch")]
    fn notice(&mut self, path: PathBuf) {
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
        let candidate = Candidate::File(path);
        if CandidateName::parse(&candidate.name()).is_some() {
            // What is refused has been logged and counted; nobody waits for the outcome.
            let request = PushRequest {
                candidate,
                signature: None,
                allowed: Allowed::default(),
                asker: Asker::Folder(folder),
            };
            let _ = self.push(&request, origin);
        }
    }

    /// Offers, for each module, the newest file that is newer than what is active; if it's refused, the
    /// next older one.
    fn rescan(&mut self) {
        let mut found = Vec::new();
        for folder in &self.settings.watched {
            match folder::list(folder) {
                Ok(files) => found.extend(
                    files
                        .into_iter()
                        .filter_map(|path| Some((CandidateName::parse(path.file_name()?.to_str()?)?, path))),
                ),
                Err(error) => {
                    let (folder, code) = (folder.display(), error.code());
                    tell(|| tracing::warn!(%folder, code, %error, "can't look through the watched folder"));
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| other.version.cmp(&one.version));
        for (name, path) in found {
            let Some(module) = self.modules.iter().find(|module| module.name() == name.module) else {
                continue;
            };
            if module.active_number().is_none_or(|active| name.version > active) {
                if is_being_written(&path) {
                    tell(
                        || tracing::info!(path = %path.display(), "not ready: somebody is still writing it"),
                    );
                } else {
                    self.offer(path, Origin::Scanned);
                }
            }
        }
    }
}

/// Takes a candidate in and reads it: all that can be done before its module is asked.
pub(super) fn stage(
    settings: &Settings,
    source: Source<'_>,
    named: Option<&CandidateName>,
    allowed: Allowed,
) -> Result<(Staged, Stages), PushError> {
    let started = Instant::now();
    let accepted = accept(&settings.folder, source, settings.candidate_size_max)?;
    let stages = Stages { accept: Some(micros(started.elapsed())), ..Stages::default() };
    read(settings, accepted, named, allowed, stages)
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
        PushError::Verify(_) | PushError::Load(_) | PushError::Prepare(_) => true,
        PushError::Rehearse(error) => error.is_lasting(),
        _ => false,
    }
}

/// Says that a content which was tried before isn't tried again, where that may surprise somebody.
fn pass_over(name: &str, origin: Origin) -> Option<PushOutcome> {
    if origin == Origin::Noticed {
        let why = "passed over: its content was refused or rolled back before";
        tell(|| tracing::info!(candidate = name, "{why}"));
    }
    None
}

pub(super) fn answer<T, E>(reply: Reply<T, E>, outcome: Result<T, E>) {
    // Whoever asked may have gone; what was done stays done.
    reply.send(outcome);
}
