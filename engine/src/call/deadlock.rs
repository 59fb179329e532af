//! Deadlocks: threads that would wait for each other's states for ever.
//!
//! A call within a call of another module has that one's state borrowed while it waits for this one's. Two threads that do
//! so the other way round would never get on. So whoever is about to wait with a state in hand says so in a list, and
//! looks first whether the wait leads back to itself: to the threads that are in the state, to the states that those wait
//! for, and so on. The last one of a ring to come sees it whole, and its call is refused.
//!
//! Who waits with empty hands can't be part of a ring, and isn't in the list. Nor does a gate count that the engine has
//! closed for a moment: the engine waits up to a deadline, and opens it again.
//!
//! This is out of the way of calls that needn't wait, and of all that aren't within another module's.

use std::sync::{Arc, Mutex};

use super::CallPath;
use super::gate::Barred;
use super::local::{self, Local};
use crate::lock::lock;

static WAITING: Mutex<Vec<Wait>> = Mutex::new(Vec::new());

/// A thread that waits for a state, with another one borrowed.
struct Wait {
    thread: i32,
    path: Arc<CallPath>,
    alone: bool,
}

/// This thread is in the list until this is dropped.
pub(super) struct Waiting {
    thread: i32,
}

impl Waiting {
    /// This thread is about to wait for the module's state: to have it alone, or to share it while a call has it alone or
    /// is about to. None if it has nothing in hand.
    pub(super) fn begin(local: &Local, alone: bool) -> Result<Option<Self>, Barred> {
        let path = local.shared_path();
        if !local::borrows_beside(path) {
            return Ok(None);
        }
        let thread = local.thread_id();
        let mut waiting = lock(&WAITING);
        if leads_back(&waiting, path, alone, thread) {
            return Err(Barred::Deadlock);
        }
        waiting.push(Wait { thread, path: path.clone(), alone });
        Ok(Some(Self { thread }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = lock(&WAITING);
        // Of a thread's, this is the only one: it waits for one thing at a time.
        let place = waiting.iter().position(|wait| wait.thread == self.thread);
        let wait = place.map(|place| waiting.swap_remove(place));
        drop(waiting);
        // Not under the lock: it may be the last to know of the module.
        drop(wait);
    }
}

/// Whether a wait for this state is one for this thread.
fn leads_back(waiting: &[Wait], path: &CallPath, alone: bool, thread: i32) -> bool {
    let mut seen: Vec<(usize, bool)> = Vec::new();
    let mut ahead = vec![(path, alone)];
    while let Some((path, alone)) = ahead.pop() {
        if seen.contains(&(path.number(), alone)) {
            continue;
        }
        seen.push((path.number(), alone));
        if !alone && !path.gate.is_closed_by_a_call() {
            continue;
        }
        for borrower in path.participants.borrowers() {
            if borrower == thread {
                return true;
            }
            let next = waiting.iter().find(|wait| wait.thread == borrower);
            ahead.extend(next.map(|wait| (&*wait.path, wait.alone)));
        }
    }
    false
}
