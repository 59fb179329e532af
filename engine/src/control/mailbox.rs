//! The mailbox of the control thread: every trigger's way to a swap.
//!
//! It is bounded. A push that finds it full, or a swap under way, is told so; a file that was noticed isn't
//! lost, because a look through the folders is then due.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Asker;
use crate::candidate::VersionNumber;
use crate::candidate::accept::Source;
use crate::engine::{Published, PushOutcome};
use crate::error::{
    CommitError, InstanceError, LifecycleError, PushError, RecoverError, ReloadError, RollbackError,
    SetPushError, TakeError,
};
use crate::host::hook;
use crate::instance::Instance;
use crate::lifecycle::Order;
use crate::lock::lock;
use crate::reply;
use crate::sets::SetPushed;
use crate::status::SnapshotTaken;

/// How many commands may wait. What a full mailbox turns away isn't lost: a push says `busy`, and a file
/// that was noticed is found by the rescan that is then due.
const WAITING_MAX: usize = 64;

/// How many of them may be pushes, the one under way among them: each may hold a whole library in memory.
const PUSHES_MAX: usize = 8;

/// A request to push, from whichever trigger.
pub(crate) struct PushRequest {
    pub(crate) candidate: Candidate,
    /// The content of its signature's file, where that came along.
    pub(crate) signature: Option<String>,
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
    /// A hand-over against the veto of the version that serves.
    pub(crate) forced: bool,
    /// Whether it's rehearsed; none leaves that to the road that it comes over.
    pub(crate) rehearsal: Option<bool>,
}

impl Allowed {
    /// The names of what is allowed, for the audit log.
    pub(super) fn names(self) -> Vec<&'static str> {
        let Self { older, one_way, forced, rehearsal } = self;
        let unrehearsed = rehearsal == Some(false);
        let all = [(older, "older"), (one_way, "one-way"), (forced, "forced"), (unrehearsed, "unrehearsed")];
        all.into_iter().filter_map(|(is_allowed, name)| is_allowed.then_some(name)).collect()
    }
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

pub(super) type Reply<T, E> = reply::Reply<Result<T, E>>;

pub(super) enum Command {
    Push(PushRequest, Reply<PushOutcome, PushError>),
    PushSet(String, Vec<PushRequest>, Reply<SetPushed, SetPushError>),
    Rollback(String, Asker, Reply<Published, RollbackError>),
    Commit(String, Asker, Reply<VersionNumber, CommitError>),
    Snapshot(String, Asker, Reply<SnapshotTaken, TakeError>),
    Recover(String, Recovery, Asker, Reply<(), RecoverError>),
    /// Initializes, starts or stops a module, or all of them.
    Live(Order, Option<String>, Asker, Reply<(), LifecycleError>),
    Create(Instance, Asker, Reply<(), InstanceError>),
    Destroy(String, Asker, Reply<(), InstanceError>),
    Reload(Asker, Reply<Vec<String>, ReloadError>),
    /// A file in a watched folder was completed.
    #[cfg(feature = "watch")]
    Notice(PathBuf),
    /// Look through the watched folders.
    Rescan(reply::Reply<()>),
}

/// The mailbox of the control thread.
#[derive(Clone)]
pub(crate) struct Mailbox {
    commands: Sender<Command>,
    /// Holds at most one wish for a look through the watched folders: one look serves all who wish for it.
    rescans: Sender<()>,
    /// The same for the configuration, which is to be read again.
    #[cfg_attr(
        not(any(feature = "watch", feature = "signals")),
        expect(dead_code, reason = "only these wish for it: here it keeps the channel open")
    )]
    reloads: Sender<()>,
    pub(super) shared: Arc<Shared>,
}

/// What the mailbox and the thread behind it both know.
#[derive(Default)]
pub(super) struct Shared {
    /// What the thread is doing, while it's carrying out a swap.
    pub(super) under_way: Mutex<Option<String>>,
    pub(super) control_thread: Mutex<Option<ThreadId>>,
    /// How many pushes have been asked for and not been answered.
    pushes: AtomicUsize,
    /// Nobody takes anything out any more. Locked while something is put in, so that nothing is left in there for ever,
    /// with somebody waiting for it.
    is_closed: Mutex<bool>,
}

/// Why a command wasn't put in.
enum Unsent {
    Full,
    Closed,
}

/// What comes out of the mailbox. When it's dropped, whoever waits for an answer hears that there won't be one.
pub(super) struct Inbox {
    pub(super) commands: Receiver<Command>,
    /// Wishes for a look through the watched folders.
    pub(super) rescans: Receiver<()>,
    /// Wishes that the configuration be read again.
    pub(super) reloads: Receiver<()>,
    shared: Arc<Shared>,
}

impl Drop for Inbox {
    fn drop(&mut self) {
        *lock(&self.shared.is_closed) = true;
        self.commands.try_iter().for_each(drop);
    }
}

/// A place among the pushes, given back when it's dropped.
struct PushPlace<'mailbox>(&'mailbox AtomicUsize);

impl<'mailbox> PushPlace<'mailbox> {
    /// Takes one, if there is one left.
    fn take(pushes: &'mailbox AtomicUsize) -> Option<Self> {
        // Relaxed, as below: it's a count, and nothing is read that another push has written.
        let add = |taken| (taken < PUSHES_MAX).then_some(taken + 1);
        pushes.try_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Self(pushes))
    }
}

impl Drop for PushPlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mailbox {
    /// A mailbox, and what comes out of it.
    pub(super) fn new() -> (Self, Inbox) {
        let ((commands, received), (rescans, wished)) = (bounded(WAITING_MAX), bounded(1));
        let (reloads, wished_anew) = bounded(1);
        let shared = Arc::<Shared>::default();
        let inbox =
            Inbox { commands: received, rescans: wished, reloads: wished_anew, shared: shared.clone() };
        (Self { commands, rescans, reloads, shared }, inbox)
    }

    pub(crate) fn push(&self, request: PushRequest) -> Result<PushOutcome, PushError> {
        let busy = |waits_for| PushError::Busy { waits_for };
        let place = PushPlace::take(&self.shared.pushes);
        let _place = place.ok_or_else(|| busy(format!("{PUSHES_MAX} pushes are waiting")))?;
        self.ask(|reply| Command::Push(request, reply), busy, PushError::Stopped)
    }

    pub(crate) fn push_set(
        &self,
        set: String,
        requests: Vec<PushRequest>,
    ) -> Result<SetPushed, SetPushError> {
        let busy = |waits_for| SetPushError::Busy { waits_for };
        // Such a command would have no line in the audit log.
        if requests.is_empty() {
            return Err(SetPushError::Empty { set });
        }
        if requests.len() > PUSHES_MAX {
            return Err(SetPushError::TooMany { found: requests.len(), limit: PUSHES_MAX });
        }
        let places: Option<Vec<_>> = requests.iter().map(|_| PushPlace::take(&self.shared.pushes)).collect();
        let _places = places.ok_or_else(|| busy(format!("more than {PUSHES_MAX} pushes are waiting")))?;
        self.ask(|reply| Command::PushSet(set, requests, reply), busy, SetPushError::Stopped)
    }

    pub(crate) fn rollback(&self, module: String, asker: Asker) -> Result<Published, RollbackError> {
        let busy = |waits_for| PushError::Busy { waits_for }.into();
        self.ask(|reply| Command::Rollback(module, asker, reply), busy, PushError::Stopped.into())
    }

    pub(crate) fn commit(&self, module: String, asker: Asker) -> Result<VersionNumber, CommitError> {
        let busy = |waits_for| CommitError::Busy { waits_for };
        self.ask(|reply| Command::Commit(module, asker, reply), busy, CommitError::Stopped)
    }

    pub(crate) fn snapshot(&self, module: String, asker: Asker) -> Result<SnapshotTaken, TakeError> {
        let busy = |waits_for| TakeError::Busy { waits_for };
        self.ask(|reply| Command::Snapshot(module, asker, reply), busy, TakeError::Stopped)
    }

    pub(crate) fn recover(&self, module: String, how: Recovery, asker: Asker) -> Result<(), RecoverError> {
        let busy = |waits_for| PushError::Busy { waits_for }.into();
        self.ask(|reply| Command::Recover(module, how, asker, reply), busy, PushError::Stopped.into())
    }

    pub(crate) fn live(
        &self,
        order: Order,
        module: Option<String>,
        asker: Asker,
    ) -> Result<(), LifecycleError> {
        let busy = |waits_for| LifecycleError::Busy { waits_for };
        self.ask(|reply| Command::Live(order, module, asker, reply), busy, LifecycleError::Stopped)
    }

    pub(crate) fn create(&self, instance: Instance, asker: Asker) -> Result<(), InstanceError> {
        let busy = |waits_for| InstanceError::Busy { waits_for };
        self.ask(|reply| Command::Create(instance, asker, reply), busy, InstanceError::Stopped)
    }

    pub(crate) fn destroy(&self, instance: String, asker: Asker) -> Result<(), InstanceError> {
        let busy = |waits_for| InstanceError::Busy { waits_for };
        self.ask(|reply| Command::Destroy(instance, asker, reply), busy, InstanceError::Stopped)
    }

    pub(crate) fn reload_and_wait(&self, asker: Asker) -> Result<Vec<String>, ReloadError> {
        let busy = |waits_for| ReloadError::Busy { waits_for };
        self.ask(|reply| Command::Reload(asker, reply), busy, ReloadError::Stopped)
    }

    /// Asks for the configuration to be read again. Never waits.
    #[cfg(any(feature = "watch", feature = "signals"))]
    pub(crate) fn reload(&self) {
        // A full channel holds the same wish already.
        let _ = self.reloads.try_send(());
    }

    /// A file in a watched folder was completed. Never waits.
    #[cfg(feature = "watch")]
    pub(crate) fn notice(&self, path: PathBuf) {
        if self.put(Command::Notice(path)).is_err() {
            self.rescan();
        }
    }

    /// Asks for a look through the watched folders. Never waits.
    pub(crate) fn rescan(&self) {
        // A full channel holds the same wish already.
        let _ = self.rescans.try_send(());
    }

    /// Looks through the watched folders, and waits until that is done; asked by a subscriber on the control thread
    /// itself or in a hook, or with a full mailbox, it's done later.
    pub(crate) fn rescan_and_wait(&self) {
        if self.would_wait_for_itself() {
            return self.rescan();
        }
        let (done, finished) = reply::reply();
        match self.put(Command::Rescan(done)) {
            // None says that the thread has ended, and then there is nothing to wait for.
            Ok(()) => drop(finished.wait()),
            Err(_) => self.rescan(),
        }
    }

    fn put(&self, command: Command) -> Result<(), Unsent> {
        let is_closed = lock(&self.shared.is_closed);
        if *is_closed {
            return Err(Unsent::Closed);
        }
        self.commands
            .try_send(command)
            .map_err(|error| if error.is_full() { Unsent::Full } else { Unsent::Closed })
    }

    pub(super) fn is_control_thread(&self) -> bool {
        *lock(&self.shared.control_thread) == Some(std::thread::current().id())
    }

    /// Whether this is the control thread, or one that it may be waiting for.
    fn would_wait_for_itself(&self) -> bool {
        self.is_control_thread() || hook::is_worker()
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
        if self.would_wait_for_itself() {
            return Err(busy("the control thread asks itself, or a hook that it may wait for".to_owned()));
        }
        let (reply, answer) = reply::reply();
        match self.put(command(reply)) {
            Ok(()) => answer.wait().unwrap_or(Err(stopped)),
            Err(Unsent::Full) => Err(busy(format!("{WAITING_MAX} commands are waiting"))),
            Err(Unsent::Closed) => Err(stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn push(mailbox: &Mailbox) -> Result<PushOutcome, PushError> {
        let candidate = Candidate::Memory { name: String::new(), content: Vec::new() };
        mailbox.push(PushRequest {
            candidate,
            signature: None,
            allowed: Allowed::default(),
            asker: Asker::Host,
        })
    }

    #[test]
    fn who_waits_hears_that_nobody_takes_anything_out_any_more() {
        let (mailbox, inbox) = Mailbox::new();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| push(&mailbox));
            while inbox.commands.is_empty() {
                thread::yield_now();
            }
            drop(inbox);
            assert!(matches!(waiting.join(), Ok(Err(PushError::Stopped))));
        });
        assert!(matches!(push(&mailbox), Err(PushError::Stopped)));
        mailbox.rescan_and_wait();
    }

    #[test]
    fn pushes_that_wait_are_bounded_and_leave_room_for_other_commands() {
        let (mailbox, inbox) = Mailbox::new();
        let commands = &inbox.commands;
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..PUSHES_MAX).map(|_| scope.spawn(|| push(&mailbox))).collect();
            while commands.len() < PUSHES_MAX {
                thread::yield_now();
            }
            let Err(PushError::Busy { waits_for }) = push(&mailbox) else { panic!("it should be busy") };
            assert_eq!(waits_for, "8 pushes are waiting");
            assert_eq!(commands.len(), PUSHES_MAX, "it left nothing behind");
            let commit = scope.spawn(|| mailbox.commit("logic".to_owned(), Asker::Host));
            while commands.len() == PUSHES_MAX {
                thread::yield_now();
            }
            // Dropped unanswered, they tell who waits that there won't be an answer.
            commands.try_iter().for_each(drop);
            for push in waiting {
                assert!(matches!(push.join(), Ok(Err(PushError::Stopped))));
            }
            assert!(matches!(commit.join(), Ok(Err(CommitError::Stopped))));
        });
        // Each place was given back.
        drop(inbox);
        assert!(matches!(push(&mailbox), Err(PushError::Stopped)));
    }
}
