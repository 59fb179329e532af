//! An answer, for one who waits for it.
//!
//! A channel would do, but for how it waits: it gives its processor away some times before it sleeps
//! (`sched_yield`). Where callers keep all processors, each time costs a time slice, which is longer than a whole push.
//! This sleeps at once.
//!
//! Whoever waits may give up. Then whoever answers is left with the answer, and can undo what it stands for.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::lock::{lock, wait};

enum State<T> {
    Waiting,
    Here(T),
    /// Whoever should have answered is gone, or whoever should have waited.
    Gone,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// The side that answers. Dropped without an answer, it says that there won't be one.
pub(crate) struct Reply<T> {
    shared: Arc<Shared<T>>,
    /// Told of the answer before whoever waits is.
    note: Option<Note<T>>,
}

type Note<T> = Box<dyn FnOnce(&T) + Send>;

/// The side that waits.
pub(crate) struct Answer<T>(Arc<Shared<T>>);

/// How a wait with a deadline has ended.
pub(crate) enum Waited<T> {
    Here(T),
    /// There won't be an answer.
    Never,
    /// There is none yet.
    Late(Answer<T>),
}

pub(crate) fn reply<T>() -> (Reply<T>, Answer<T>) {
    let shared = Arc::new(Shared { state: Mutex::new(State::Waiting), changed: Condvar::new() });
    (Reply { shared: shared.clone(), note: None }, Answer(shared))
}

impl<T> Reply<T> {
    /// Answers.
    pub(crate) fn send(mut self, answer: T) {
        if let Some(note) = self.note.take() {
            note(&answer);
        }
        // Who has gone needs no answer.
        let _ = self.send_after(answer, || {});
    }

    /// Has somebody take note of the answer before it's sent.
    pub(crate) fn noting(mut self, note: impl FnOnce(&T) + Send + 'static) -> Self {
        self.note = Some(Box::new(note));
        self
    }

    /// Answers, if somebody waits still, and does something before they can hear of it. Otherwise gives the answer
    /// back, and does nothing.
    pub(crate) fn send_after(self, answer: T, before: impl FnOnce()) -> Result<(), T> {
        let mut state = lock(&self.shared.state);
        if !matches!(*state, State::Waiting) {
            return Err(answer);
        }
        before();
        *state = State::Here(answer);
        // Woken before the lock is free, whoever waits would only wait again.
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        if matches!(*state, State::Waiting) {
            *state = State::Gone;
            drop(state);
            self.shared.changed.notify_one();
        }
    }
}

impl<T> Answer<T> {
    /// Waits no longer. The answer, if it has come all the same.
    pub(crate) fn give_up(self) -> Option<T> {
        match std::mem::replace(&mut *lock(&self.0.state), State::Gone) {
            State::Here(answer) => Some(answer),
            State::Waiting | State::Gone => None,
        }
    }

    /// Waits for it. None if there won't be one.
    pub(crate) fn wait(self) -> Option<T> {
        match self.wait_for(Duration::MAX) {
            Waited::Here(answer) => Some(answer),
            Waited::Never | Waited::Late(_) => None,
        }
    }

    /// Waits for so long at most.
    pub(crate) fn wait_for(self, time: Duration) -> Waited<T> {
        // None is too far away to be told.
        let deadline = Instant::now().checked_add(time);
        let mut state = lock(&self.0.state);
        while matches!(*state, State::Waiting) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            state = match left {
                None => wait(&self.0.changed, &self.0.state, state, None),
                Some(Duration::ZERO) => {
                    drop(state);
                    return Waited::Late(self);
                }
                Some(left) => wait(&self.0.changed, &self.0.state, state, Some(left)),
            };
        }
        match std::mem::replace(&mut *state, State::Gone) {
            State::Here(answer) => Waited::Here(answer),
            State::Waiting | State::Gone => Waited::Never,
        }
    }
}

/// Whoever waited has given up.
impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        // An answer that came in between is dropped outside of the lock.
        let unheard = std::mem::replace(&mut *state, State::Gone);
        drop(state);
        drop(unheard);
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

    #[test]
    fn an_answer_is_noted_before_it_is_given() {
        let (first, answer) = reply();
        let (sender, noted) = std::sync::mpsc::channel();
        first.noting(move |answer: &u8| sender.send(*answer).unwrap()).send(7);
        assert_eq!((noted.try_recv(), answer.wait()), (Ok(7), Some(7)));
    }

    #[test]
    fn who_has_given_up_leaves_the_answer_to_who_gives_it() {
        let (reply, answer) = reply();
        let Waited::Late(answer) = answer.wait_for(Duration::from_millis(1)) else {
            panic!("nobody answers")
        };
        assert_eq!(answer.give_up(), None);
        let mut is_done = false;
        assert_eq!(reply.send_after(7, || is_done = true), Err(7));
        assert!(!is_done);
    }
}
