//! The control thread: carries out commands, one after the other.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, select};

use super::Settings;
use super::mailbox::{Candidate, Command, Mailbox, PushRequest, Reply, Shared};
use super::module::{Module, Staged, micros};
use super::reaper::Reaper;
use crate::candidate::accept::{Accepted, Source, accept};
use crate::candidate::{CandidateName, Digest, VerifyError, VersionNumber, manifest, verify};
use crate::engine::{Published, PushOutcome};
use crate::error::{CommitError, PushError, RollbackError};
use crate::lock::lock;
use crate::status::Stages;

/// How many refused contents are remembered, so that the watched folder doesn't try them again.
const TRIED_MAX: usize = 1024;

/// The control thread, and what the engine needs to end it.
pub(crate) struct Control {
    pub(crate) mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    pub(crate) fn start(
        modules: Vec<Module>,
        settings: Settings,
        reaper: Arc<Reaper>,
    ) -> std::io::Result<Self> {
        let (mailbox, commands, rescans) = Mailbox::new();
        let shared = mailbox.shared.clone();
        let thread = std::thread::Builder::new().name("liveswap-control".into()).spawn(move || {
            *lock(&shared.control_thread) = Some(std::thread::current().id());
            Thread { modules, settings, reaper, shared, tried: Tried::default() }.run(&commands, &rescans);
        })?;
        Ok(Self { mailbox, thread: Some(thread) })
    }

    /// Ends the modules and the threads. Waits for calls in flight, up to the drain deadline.
    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // An error says that the thread has ended already.
            let _ = self.mailbox.commands.send(Command::Stop);
            let _ = thread.join();
        }
    }
}

/// Contents that were refused or withdrawn, the oldest first.
#[derive(Default)]
struct Tried(VecDeque<Digest>);

impl Tried {
    fn contains(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }

    fn add(&mut self, digest: Digest) {
        if self.contains(digest) {
            return;
        }
        if self.0.len() == TRIED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(digest);
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

struct Thread {
    modules: Vec<Module>,
    settings: Settings,
    reaper: Arc<Reaper>,
    shared: Arc<Shared>,
    tried: Tried,
}

impl Thread {
    fn run(mut self, commands: &Receiver<Command>, rescans: &Receiver<()>) {
        loop {
            select! {
                recv(commands) -> command => match command {
                    Ok(Command::Stop) | Err(_) => break,
                    Ok(command) => self.carry_out(command),
                },
                // An error would say that the mailbox is gone, which the commands say too.
                recv(rescans) -> _ => self.rescan(),
            }
        }
        let deadline = Instant::now() + self.settings.drain_deadline;
        for module in &mut self.modules {
            module.stop(&self.settings, deadline);
        }
        self.reaper.stop(deadline);
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
            Command::Rollback(name, reply) => {
                let outcome = self.rollback(&name);
                answer(reply, outcome);
            }
            Command::Commit(name, reply) => {
                let outcome = self.commit(&name);
                answer(reply, outcome);
            }
            #[cfg(feature = "watch")]
            Command::Notice(path) => self.offer(path, Origin::Noticed),
            // Dropping the sender tells whoever waits.
            Command::Rescan(_done) => self.rescan(),
            Command::Stop => unreachable!("the loop ends with it"),
        }
    }

    /// Names what is under way for as long as `work` takes.
    fn while_busy<R>(&mut self, what: String, work: impl FnOnce(&mut Self) -> R) -> R {
        *lock(&self.shared.under_way) = Some(what);
        let result = work(self);
        *lock(&self.shared.under_way) = None;
        result
    }

    /// `Ok(None)`: a watched folder offered a content that was tried before.
    fn push(&mut self, request: &PushRequest, origin: Origin) -> Result<Option<PushOutcome>, PushError> {
        let name = request.candidate.name();
        self.while_busy(format!("{name} is being pushed"), |thread| {
            let outcome = thread.take_in(request, &name, origin);
            if let Err(error) = &outcome {
                tracing::warn!(candidate = name, code = error.code(), "refused: {error}");
            }
            outcome
        })
    }

    fn take_in(
        &mut self,
        request: &PushRequest,
        name: &str,
        origin: Origin,
    ) -> Result<Option<PushOutcome>, PushError> {
        let named = CandidateName::parse(name);
        let mut concerns = named.as_ref().map(|name| name.module.clone());
        let started = Instant::now();
        let accepted =
            accept(&self.settings.folder, request.candidate.source(), self.settings.candidate_size_max)
                .inspect_err(|_| self.count_refused(concerns.as_deref()))?;
        let digest = accepted.copy.digest;
        if origin != Origin::Asked && self.tried.contains(digest) {
            if origin == Origin::Noticed {
                tracing::info!(
                    candidate = name,
                    "passed over: its content was refused or rolled back before"
                );
            }
            return Ok(None);
        }
        if let Some(module) = self.modules.iter().find(|module| module.active_digest() == Some(digest)) {
            let version = module.active_number().expect("an active digest is of an active version");
            return Ok(Some(PushOutcome::Unchanged { module: module.name().to_owned(), version }));
        }
        let stages = Stages { accept: Some(micros(started.elapsed())), ..Stages::default() };
        let outcome =
            read(accepted, named.as_ref(), request.allow_older, stages).and_then(|(staged, stages)| {
                let module = staged.module().to_owned();
                concerns = Some(module.clone());
                match self.modules.iter_mut().find(|known| known.name() == module) {
                    Some(known) => known.push(staged, stages, &self.settings),
                    None => Err(VerifyError::UnknownModule { found: module, known: self.known() }.into()),
                }
            });
        if let Err(error) = &outcome {
            self.count_refused(concerns.as_deref());
            // What isn't the content's fault may be over the next time.
            if matches!(error, PushError::Verify(_) | PushError::Load(_) | PushError::Prepare(_)) {
                self.tried.add(digest);
            }
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
            let withdrawn = module.active_digest();
            let published = module.rollback(&thread.settings)?;
            // Its file may still lie in the watched folder, and is newer than what is active now.
            withdrawn.into_iter().for_each(|digest| thread.tried.add(digest));
            Ok(published)
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

    fn known(&self) -> String {
        let names: Vec<_> = self.modules.iter().map(|module| format!("`{}`", module.name())).collect();
        names.join(", ")
    }

    /// Pushes a file of a watched folder. Files that aren't named like candidates are passed over: an
    /// editor's or a copy's temporary file isn't anybody's mistake.
    fn offer(&mut self, path: PathBuf, origin: Origin) {
        let candidate = Candidate::File(path);
        if CandidateName::parse(&candidate.name()).is_some() {
            // What is refused has been logged and counted; nobody waits for the outcome.
            let _ = self.push(&PushRequest { candidate, allow_older: false }, origin);
        }
    }

    /// Offers, for each module, the newest file that is newer than what is active; if it's refused, the
    /// next older one.
    fn rescan(&mut self) {
        let mut found = Vec::new();
        for folder in &self.settings.watched {
            match fs::read_dir(folder) {
                Ok(entries) => found.extend(entries.filter_map(|entry| {
                    let path = entry.ok()?.path();
                    Some((CandidateName::parse(path.file_name()?.to_str()?)?, path))
                })),
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "can't look through the watched folder");
                }
            }
        }
        found.sort_by(|(one, _), (other, _)| other.version.cmp(&one.version));
        for (name, path) in found {
            let Some(module) = self.modules.iter().find(|module| module.name() == name.module) else {
                continue;
            };
            if module.active_number().is_none_or(|active| name.version > active) {
                self.offer(path, Origin::Scanned);
            }
        }
    }
}

/// Takes a candidate in and reads it: all that can be done before its module is asked.
pub(super) fn stage(
    settings: &Settings,
    source: Source<'_>,
    named: Option<&CandidateName>,
    allow_older: bool,
) -> Result<(Staged, Stages), PushError> {
    let started = Instant::now();
    let accepted = accept(&settings.folder, source, settings.candidate_size_max)?;
    let stages = Stages { accept: Some(micros(started.elapsed())), ..Stages::default() };
    read(accepted, named, allow_older, stages)
}

fn read(
    Accepted { copy, content }: Accepted<'_>,
    named: Option<&CandidateName>,
    allow_older: bool,
    stages: Stages,
) -> Result<(Staged, Stages), PushError> {
    let started = Instant::now();
    let (manifest, section) = manifest::read(&content).map_err(VerifyError::from)?;
    let readable = verify::readable(manifest, named)?;
    let staged = Staged::new(readable, section, copy, allow_older);
    Ok((staged, Stages { verify: Some(micros(started.elapsed())), ..stages }))
}

fn answer<T, E>(reply: Reply<T, E>, outcome: Result<T, E>) {
    // Whoever asked may have gone; what was done stays done.
    let _ = reply.send(outcome);
}
