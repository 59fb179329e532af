//! A thread, as the engine knows it: a name for people, and a way to ask it to settle what it owes.

use std::fmt;
use std::fs;
use std::sync::{Arc, Weak};

use super::participants::Participant;
use super::sync::{Mutex, lock};

/// One for each thread that a version has left something on. See [`owed`](super::owed).
pub(crate) struct Thread {
    /// The kernel's number for the thread, as `/proc` and debuggers show it.
    pub(crate) id: i32,
    /// Its sides of the modules that it calls: where it looks whether somebody wants something of it.
    participants: Mutex<Vec<Weak<Participant>>>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Thread").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Thread {
    pub(crate) fn new(id: i32) -> Self {
        Self { id, participants: Mutex::new(Vec::new()) }
    }

    /// Its name, as the kernel has it: the first 15 bytes of what it was called. The standard library knows the whole
    /// name, but each library's copy those of its own threads only, and none on a thread that is ending.
    pub(crate) fn name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/self/task/{}/comm", self.id));
        name.map_or_else(|_| format!("thread-{}", self.id), |name| name.trim_end().to_owned())
    }

    /// It calls one more module.
    pub(crate) fn join(&self, participant: &Arc<Participant>) {
        let mut participants = lock(&self.participants);
        participants.retain(|known| known.strong_count() > 0);
        participants.push(Arc::downgrade(participant));
    }

    /// Asks the thread to settle what it owes to versions that have retired: at its next pass through any of
    /// its modules.
    pub(crate) fn ask_to_settle(&self) {
        for participant in lock(&self.participants).iter().filter_map(Weak::upgrade) {
            participant.announcement.ask_to_settle();
        }
    }
}
