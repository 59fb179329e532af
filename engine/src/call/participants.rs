//! The participants: every thread that calls a module, with its announcement and its name.
//!
//! This is where the grace period is waited for, and where its holders get their names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use super::announcement::Announcement;
use super::barrier;
use super::bell::Bell;
use super::sync::{Mutex, lock};
use super::thread::Thread;

/// A thread, as one module sees it.
pub(crate) struct Participant {
    pub(crate) announcement: CachePadded<Announcement>,
    thread: Arc<Thread>,
    notes: Mutex<Notes>,
}

/// What is known of a thread beside what it announces.
#[derive(Default)]
struct Notes {
    /// When the thread was first seen inside since it entered. A call doesn't read the clock, so its age is counted
    /// from when somebody first looked; a swap looks when it publishes.
    seen: Option<Instant>,
    /// What the host calls what the thread does.
    label: Option<Arc<str>>,
}

impl Participant {
    pub(crate) fn new(thread: Arc<Thread>) -> Self {
        Self::with(Announcement::new(), thread)
    }

    /// In a module that is of a set.
    pub(crate) fn of_member(thread: Arc<Thread>) -> Self {
        Self::with(Announcement::of_member(), thread)
    }

    fn with(announcement: Announcement, thread: Arc<Thread>) -> Self {
        Self { announcement: CachePadded::new(announcement), thread, notes: Mutex::new(Notes::default()) }
    }

    pub(super) fn thread_id(&self) -> i32 {
        self.thread.id
    }

    /// For how long, at least, the thread has been in the call it is in.
    fn age(&self) -> Duration {
        let mut notes = lock(&self.notes);
        let is_still_inside = self.announcement.is_still_inside();
        let since = notes.seen.filter(|_| is_still_inside).unwrap_or_else(Instant::now);
        notes.seen = Some(since);
        since.elapsed()
    }

    fn label(&self) -> Option<Arc<str>> {
        lock(&self.notes).label.clone()
    }

    /// Says what the host calls what the thread does. Gives what it said before.
    pub(super) fn relabel(&self, label: Option<Arc<str>>) -> Option<Arc<str>> {
        std::mem::replace(&mut lock(&self.notes).label, label)
    }
}

/// How a thread holds a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is inside, in this method; in none between two calls of one guard.
    Call(Option<usize>),
    /// It has to run destructors of the version's before that goes.
    Destructors,
    /// The version has started it.
    Thread,
    /// It runs this hook.
    Hook(&'static str),
    /// It runs this hook, and a swap waits for that, or has given up to.
    Awaited(&'static str),
    /// No thread does: a unit of work holds it from one call to the next.
    Lease,
}

/// Somebody who holds a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    /// What the host calls it, if it has said so.
    pub(crate) label: Option<Arc<str>>,
    /// The thread's name; empty for a lease.
    pub(crate) thread: String,
    /// The kernel's number for the thread; 0 for a lease.
    pub(crate) thread_id: i32,
    pub(crate) hold: Hold,
    /// At least this long.
    pub(crate) age: Duration,
}

pub(crate) struct Participants {
    threads: Mutex<Vec<Arc<Participant>>>,
    pub(crate) bell: Arc<Bell>,
}

impl Participants {
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self { threads: Mutex::new(Vec::new()), bell }
    }

    /// A thread comes. It must be here before it first announces anything: whoever scans the list without
    /// finding it has published before it came, and the list's lock makes it see that.
    pub(crate) fn join(&self, participant: Arc<Participant>) {
        lock(&self.threads).push(participant);
    }

    /// A thread ends.
    pub(crate) fn part(&self, participant: &Participant) {
        lock(&self.threads).retain(|other| !std::ptr::eq(&**other, participant));
    }

    /// What each thread announces, for whoever has passed the heavy barrier since it published something else.
    pub(crate) fn announced(&self) -> Vec<usize> {
        lock(&self.threads).iter().map(|participant| participant.announcement.version()).collect()
    }

    fn find(&self, is_holding: &impl Fn(&Participant) -> bool) -> Vec<Arc<Participant>> {
        lock(&self.threads).iter().filter(|participant| is_holding(participant)).cloned().collect()
    }

    /// Whether anybody holds what `is_holding` asks about. If so, the bell will ring once one of them lets
    /// go. The caller has passed the heavy barrier since it published or closed what this is about, or looks again after it has.
    pub(crate) fn is_held(&self, is_holding: impl Fn(&Participant) -> bool) -> bool {
        let holding = self.find(&is_holding);
        if holding.is_empty() {
            return false;
        }
        for participant in &holding {
            participant.announcement.expect();
        }
        // Pairs with the light barrier in `Announcement::is_wanted`: a thread that let go without seeing
        // that it is expected is seen to have let go here.
        barrier::heavy();
        holding.iter().any(|participant| is_holding(participant))
    }

    /// Waits until nobody holds what `is_holding` asks about. The caller has passed the heavy barrier.
    pub(crate) fn wait_until_free(&self, is_holding: impl Fn(&Participant) -> bool) {
        self.is_free_by(is_holding, None);
    }

    /// The same, up to a deadline. False if somebody still holds it then.
    pub(crate) fn is_free_by(
        &self,
        is_holding: impl Fn(&Participant) -> bool,
        deadline: Option<Instant>,
    ) -> bool {
        loop {
            let rings = self.bell.rings();
            if !self.is_held(&is_holding) {
                return true;
            }
            if !self.bell.wait(rings, deadline) {
                return false;
            }
        }
    }

    /// The numbers of the threads that borrow the state.
    pub(crate) fn borrowers(&self) -> Vec<i32> {
        let borrowing = self.find(&|participant| participant.announcement.doing().is_borrowing());
        borrowing.iter().map(|participant| participant.thread.id).collect()
    }

    /// Whether any thread is inside the version. The caller has passed the heavy barrier since another
    /// was published.
    pub(crate) fn is_inside(&self, version: usize) -> bool {
        self.is_held(|participant| participant.announcement.version() == version)
    }

    /// Who is inside the version, with names.
    pub(crate) fn holders(&self, version: usize) -> Vec<Holding> {
        self.holding(|participant| participant.announcement.version() == version)
    }

    /// Who holds what `is_holding` asks about, with names.
    pub(crate) fn holding(&self, is_holding: impl Fn(&Participant) -> bool) -> Vec<Holding> {
        self.find(&is_holding)
            .iter()
            .map(|participant| Holding {
                label: participant.label(),
                thread: participant.thread.name(),
                thread_id: participant.thread.id,
                hold: Hold::Call(participant.announcement.doing().method()),
                age: participant.age(),
            })
            .collect()
    }
}
