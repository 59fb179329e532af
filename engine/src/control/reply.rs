//! An answer, for one who waits for it.
//!
//! A channel would do, but for how it waits: it gives its processor away some times before it sleeps
//! (`sched_yield`). Where callers keep all processors, each time costs a time slice, which is longer than a whole push.
//! This sleeps at once.

use std::sync::{Arc, Condvar, Mutex};

use crate::lock::{lock, wait};

enum State<T> {
    Waiting,
    Here(T),
    /// Whoever should have answered is gone.
    Gone,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn set(&self, new: State<T>) {
        let mut state = lock(&self.state);
        if matches!(*state, State::Waiting) {
            *state = new;
            // Woken before the lock is free, it would only wait again.
            drop(state);
            self.changed.notify_one();
        }
    }
}

/// The side that answers. Dropped without an answer, it says that there won't be one.
pub(crate) struct Reply<T>(Arc<Shared<T>>);

/// The side that waits.
pub(super) struct Answer<T>(Arc<Shared<T>>);

pub(super) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Waiting), changed: Condvar::new() });
    (Reply(shared.clone()), Answer(shared))
}

impl<T> Reply<T> {
    pub(super) fn send(self, answer: T) {
        self.0.set(State::Here(answer));
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        self.0.set(State::Gone);
    }
}

impl<T> Answer<T> {
    /// Waits for it. None if there won't be one.
    pub(super) fn wait(self) -> Option<T> {
        let Shared { state: mutex, changed } = &*self.0;
        let mut state = lock(mutex);
        while matches!(*state, State::Waiting) {
            state = wait(changed, mutex, state, None);
        }
        match std::mem::replace(&mut *state, State::Gone) {
            State::Here(answer) => Some(answer),
            State::Waiting | State::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_the_answer_or_that_there_is_none() {
        let (first, answer) = reply();
        let waiting = std::thread::spawn(move || answer.wait());
        first.send(7);
        assert_eq!(waiting.join().unwrap(), Some(7));

        let (second, answer) = reply::<u8>();
        let waiting = std::thread::spawn(move || answer.wait());
        drop(second);
        assert_eq!(waiting.join().unwrap(), None);
    }
}
