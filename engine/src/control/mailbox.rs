//! The mailbox of the control thread: every trigger's way to a swap.
//!
//! It is bounded. A push that finds it full, or a swap under way, is told so; a file that was noticed isn't
//! lost, because a look through the folders is then due.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{Asker, reply};
use crate::candidate::VersionNumber;
use crate::candidate::accept::Source;
use crate::engine::{Published, PushOutcome};
use crate::error::{CommitError, PushError, RecoverError, RollbackError, TakeError};
use crate::lock::lock;
use crate::status::SnapshotTaken;

/// How many commands may wait. What a full mailbox turns away isn't lost: a push says `busy`, and a file
/// that was noticed is found by the rescan that is then due.
const WAITING_MAX: usize = 64;

/// A request to push, from whichever trigger.
pub(crate) struct PushRequest {
    pub(crate) candidate: Candidate,
    pub(crate) allowed: Allowed,
    pub(crate) asker: Asker,
}

/// What is allowed for once, by whoever pushes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowed {
    /// A version that is older than the active one.
    pub(crate) older: bool,
    /// An upgrade of the state without a way back.
    pub(crate) one_way: bool,
    /// Whether it's rehearsed; none leaves that to the road that it comes over.
    pub(crate) rehearsal: Option<bool>,
}

/// What is to be done about a state that may be half changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The last snapshot takes its place.
    Restore,
    /// It's trusted as it is.
    Trust,
}

/// A candidate's bytes, owned.
pub(crate) enum Candidate {
    File(PathBuf),
    Memory { name: String, content: Vec<u8> },
}

impl Candidate {
    pub(super) fn source(&self) -> Source<'_> {
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

pub(super) type Reply<T, E> = super::reply::Reply<Result<T, E>>;

pub(super) enum Command {
    Push(PushRequest, Reply<PushOutcome, PushError>),
    Rollback(String, Reply<Published, RollbackError>),
    Commit(String, Reply<VersionNumber, CommitError>),
    Snapshot(String, Reply<SnapshotTaken, TakeError>),
    Recover(String, Recovery, Reply<(), RecoverError>),
    /// A file in a watched folder was completed.
    #[cfg(feature = "watch")]
    Notice(PathBuf),
    /// Look through the watched folders.
    Rescan(Sender<()>),
}

/// The mailbox of the control thread.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(super) commands: Sender<Command>,
    /// Holds at most one wish for a look through the watched folders: one look serves all who wish for it.
    rescans: Sender<()>,
    pub(super) shared: Arc<Shared>,
}

/// What the mailbox and the thread behind it both know.
#[derive(Default)]
pub(super) struct Shared {
    /// What the thread is doing, while it's carrying out a swap.
    pub(super) under_way: Mutex<Option<String>>,
    pub(super) control_thread: Mutex<Option<ThreadId>>,
}

impl Mailbox {
    /// A mailbox, and what comes out of it: commands, and wishes for a look through the watched folders.
    pub(super) fn new() -> (Self, Receiver<Command>, Receiver<()>) {
        let ((commands, received), (rescans, wished)) = (bounded(WAITING_MAX), bounded(1));
        (Self { commands, rescans, shared: Arc::default() }, received, wished)
    }

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

    pub(crate) fn snapshot(&self, module: String) -> Result<SnapshotTaken, TakeError> {
        let busy = |waits_for| TakeError::Busy { waits_for };
        self.ask(|reply| Command::Snapshot(module, reply), busy, TakeError::Stopped)
    }

    pub(crate) fn recover(&self, module: String, how: Recovery) -> Result<(), RecoverError> {
        let busy = |waits_for| PushError::Busy { waits_for }.into();
        self.ask(|reply| Command::Recover(module, how, reply), busy, PushError::Stopped.into())
    }

    /// A file in a watched folder was completed. Never waits.
    #[cfg(feature = "watch")]
    pub(crate) fn notice(&self, path: PathBuf) {
        if self.commands.try_send(Command::Notice(path)).is_err() {
            self.rescan();
        }
    }

    /// Asks for a look through the watched folders. Never waits.
    pub(crate) fn rescan(&self) {
        // A full channel holds the same wish already.
        let _ = self.rescans.try_send(());
    }

    /// Looks through the watched folders, and waits until that is done; asked on the control thread itself,
    /// by a subscriber, it's done later.
    pub(crate) fn rescan_and_wait(&self) {
        if self.is_control_thread() {
            return self.rescan();
        }
        let (done, finished) = bounded(1);
        if self.commands.send(Command::Rescan(done)).is_ok() {
            // An error says that the thread has ended, and then there is nothing to wait for.
            let _ = finished.recv();
        }
    }

    pub(super) fn is_control_thread(&self) -> bool {
        *lock(&self.shared.control_thread) == Some(std::thread::current().id())
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
        if self.is_control_thread() {
            return Err(busy("the control thread asks itself".to_owned()));
        }
        let (reply, answer) = reply::reply();
        match self.commands.try_send(command(reply)) {
            Ok(()) => answer.wait().unwrap_or(Err(stopped)),
            Err(TrySendError::Full(_)) => Err(busy(format!("{WAITING_MAX} commands are waiting"))),
            Err(TrySendError::Disconnected(_)) => Err(stopped),
        }
    }
}
