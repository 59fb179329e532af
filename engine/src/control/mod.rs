//! The control path: one thread that carries out every swap, and one that unmaps.
//!
//! | module | what it holds |
//! |---|---|
//! | [`transition`] | what a swap does next, as a pure function |
//! | [`module`] | carries out those decisions for one module |
//! | [`library`] | the one place for `dlopen` and `dlclose` |
//! | [`reaper`] | drains and unmaps what has left its slot |
//!
//! All triggers end here, as a [`Command`] in one mailbox: a push from a socket, from the program itself,
//! from the watched folder, from a signal. They are carried out one after the other.

mod library;
mod module;
mod reaper;
mod transition;

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

pub use library::LoadError;
pub(crate) use module::Module;
pub use module::PrepareError;
use module::{Staged, micros};
pub(crate) use reaper::{Reaper, RetiredView};

use crate::call::Bell;
use crate::candidate::accept::{Accepted, PrivateFolder, Source, accept};
use crate::candidate::{CandidateName, Digest, VerifyError, VersionNumber, manifest, verify};
use crate::engine::{Published, PushOutcome};
use crate::error::{CommitError, PushError, RollbackError};
use crate::lock::lock;
use crate::status::Stages;

/// How many commands may wait. What a full mailbox turns away isn't lost: a push says `busy`, and a file
/// that was noticed is found by the rescan that is then due.
const WAITING_MAX: usize = 64;

/// How many refused contents are remembered, so that the watched folder doesn't try them again.
const TRIED_MAX: usize = 1024;

/// The number of a version: never used twice in a process, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Serial(pub(crate) usize);

impl Serial {
    fn fresh() -> Self {
        static SERIALS: AtomicUsize = AtomicUsize::new(1);
        // Relaxed: all that counts is that no number is given out twice.
        Self(SERIALS.fetch_add(1, Ordering::Relaxed))
    }
}

/// The bounds and places that every module shares.
pub(crate) struct Settings {
    pub(crate) folder: Arc<PrivateFolder>,
    /// Where candidates are looked for.
    pub(crate) watched: Vec<PathBuf>,
    pub(crate) candidate_size_max: u64,
    pub(crate) retired_max: usize,
    /// How many predecessors' files are kept for a rollback.
    pub(crate) kept_max: usize,
    pub(crate) drain_deadline: Duration,
    pub(crate) bell: Arc<Bell>,
}

/// A request to push, from whichever trigger.
pub(crate) struct PushRequest {
    pub(crate) candidate: Candidate,
    pub(crate) allow_older: bool,
}

/// A candidate's bytes, owned.
pub(crate) enum Candidate {
    File(PathBuf),
    Memory { name: String, content: Vec<u8> },
}

impl Candidate {
    fn source(&self) -> Source<'_> {
        match self {
            Self::File(path) => Source::File(path),
            Self::Memory { name, content } => Source::Memory { name, content },
        }
    }

    /// The file's own name.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => {
                path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
            Self::Memory { name, .. } => name.clone(),
        }
    }
}

type Reply<T, E> = Sender<Result<T, E>>;

enum Command {
    Push(PushRequest, Reply<PushOutcome, PushError>),
    Rollback(String, Reply<Published, RollbackError>),
    Commit(String, Reply<VersionNumber, CommitError>),
    /// A file in a watched folder was completed.
    #[cfg(feature = "watch")]
    Notice(PathBuf),
    /// Look through the watched folders.
    Rescan(Option<Sender<()>>),
    Stop,
}

/// The mailbox of the control thread.
#[derive(Clone)]
pub(crate) struct Mailbox {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What the thread is doing, while it's carrying out a swap.
    under_way: Mutex<Option<String>>,
    /// A notice found the mailbox full. Relaxed: the thread looks after every command, and the command
    /// that filled the mailbox is still to come.
    rescan_due: AtomicBool,
    control_thread: Mutex<Option<ThreadId>>,
}

impl Mailbox {
    pub(crate) fn push(&self, request: PushRequest) -> Result<PushOutcome, PushError> {
        let busy = |waits_for| PushError::Busy { waits_for };
        self.ask(|reply| Command::Push(request, reply), busy, PushError::Stopped)
    }

    pub(crate) fn rollback(&self, module: String) -> Result<Published, RollbackError> {
        let busy = |waits_for| PushError::Busy { waits_for }.into();
        self.ask(|reply| Command::Rollback(module, reply), busy, PushError::Stopped.into())
    }

    pub(crate) fn commit(&self, module: String) -> Result<VersionNumber, CommitError> {
        let busy = |waits_for| CommitError::Busy { waits_for };
        self.ask(|reply| Command::Commit(module, reply), busy, CommitError::Stopped)
    }

    /// A file in a watched folder was completed. Never waits.
    #[cfg(feature = "watch")]
    pub(crate) fn notice(&self, path: PathBuf) {
        if self.commands.try_send(Command::Notice(path)).is_err() {
            self.shared.rescan_due.store(true, Ordering::Relaxed);
        }
    }

    /// Asks for a look through the watched folders. Never waits.
    #[cfg(any(feature = "watch", feature = "signals"))]
    pub(crate) fn rescan(&self) {
        if self.commands.try_send(Command::Rescan(None)).is_err() {
            self.shared.rescan_due.store(true, Ordering::Relaxed);
        }
    }

    /// Looks through the watched folders, and waits until that is done.
    pub(crate) fn rescan_and_wait(&self) {
        let (done, finished) = bounded(1);
        if self.commands.send(Command::Rescan(Some(done))).is_ok() {
            // An error says that the thread has ended, and then there is nothing to wait for.
            let _ = finished.recv();
        }
    }

    /// Sends a command and waits for its answer, unless a swap is under way already.
    fn ask<T, E>(
        &self,
        command: impl FnOnce(Reply<T, E>) -> Command,
        busy: impl Fn(String) -> E,
        stopped: E,
    ) -> Result<T, E> {
        if let Some(under_way) = &*lock(&self.shared.under_way) {
            return Err(busy(under_way.clone()));
        }
        // A subscriber that reacts to one of the control thread's own events would wait for itself.
        if *lock(&self.shared.control_thread) == Some(std::thread::current().id()) {
            return Err(busy("the control thread asks itself".to_owned()));
        }
        let (reply, answer) = bounded(1);
        match self.commands.try_send(command(reply)) {
            Ok(()) => answer.recv().unwrap_or(Err(stopped)),
            Err(TrySendError::Full(_)) => Err(busy(format!("{WAITING_MAX} commands are waiting"))),
            Err(TrySendError::Disconnected(_)) => Err(stopped),
        }
    }
}

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
        let (sender, commands) = bounded(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        let mailbox = Mailbox { commands: sender, shared: shared.clone() };
        let thread = std::thread::Builder::new().name("liveswap-control".into()).spawn(move || {
            *lock(&shared.control_thread) = Some(std::thread::current().id());
            Thread { modules, settings, reaper, shared, tried: Tried::default() }.run(&commands);
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
    fn run(mut self, commands: &Receiver<Command>) {
        while let Ok(command) = commands.recv() {
            match command {
                Command::Push(request, reply) => {
                    let outcome = self.push(&request, Origin::Asked);
                    answer(
                        reply,
                        outcome
                            .map(|pushed| pushed.expect("only what a watched folder offers is passed over")),
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
                Command::Rescan(done) => {
                    self.rescan();
                    drop(done);
                }
                Command::Stop => break,
            }
            if self.shared.rescan_due.swap(false, Ordering::Relaxed) {
                self.rescan();
            }
        }
        let deadline = Instant::now() + self.settings.drain_deadline;
        for module in &mut self.modules {
            module.stop(&self.settings, deadline);
        }
        self.reaper.stop(deadline);
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
fn stage(
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
