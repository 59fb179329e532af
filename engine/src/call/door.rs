//! The door: nobody enters any version for a moment, and nobody is turned away.
//!
//! While the state is turned into one of another shape there is no version that a call could enter: the old code
//! doesn't fit any more, the new one not yet. So the door is closed first, and then the published version is taken
//! away. Who finds none published looks at the door: if it's closed, or was opened since, there will be, or is, one.

use super::sync::{Condvar, Mutex, lock, wait};

pub(crate) struct Door {
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Clone, Copy)]
struct State {
    is_closed: bool,
    /// How often it was opened.
    openings: usize,
}

impl Door {
    pub(crate) fn new() -> Self {
        let state = Mutex::new(State { is_closed: false, openings: 0 });
        Self { state, opened: Condvar::new() }
    }

    /// Before the published version is taken away.
    pub(crate) fn close(&self) {
        lock(&self.state).is_closed = true;
    }

    /// After a version was published.
    pub(crate) fn open(&self) {
        let mut state = lock(&self.state);
        *state = State { is_closed: false, openings: state.openings.wrapping_add(1) };
        self.opened.notify_all();
    }

    /// Enters, if need be after the door was opened. None if there is no version to enter, and none to come.
    #[cold]
    pub(crate) fn enter<V>(&self, enter: impl Fn() -> Option<V>) -> Option<V> {
        loop {
            let before = lock(&self.state).openings;
            if let Some(version) = enter() {
                return Some(version);
            }
            let mut state = lock(&self.state);
            if !state.is_closed && state.openings == before {
                return None;
            }
            while state.is_closed && state.openings == before {
                (state, _) = wait(&self.opened, &self.state, state, None);
            }
        }
    }
}
