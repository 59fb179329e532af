//! The turn: of all who want the state alone, one after the other may close the gate.
//!
//! It's a lock that can be waited for up to a deadline, and that needn't be given back where it was taken.

use std::time::Instant;

use super::sync::{Condvar, Mutex, lock, wait};

pub(crate) struct Turn {
    state: Mutex<State>,
    given_back: Condvar,
}

struct State {
    is_taken: bool,
    /// How many wait for it: without any, giving it back needn't enter the kernel.
    waiting: usize,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { is_taken: false, waiting: 0 }), given_back: Condvar::new() }
    }

    /// Waits for the turn and takes it. False if the deadline passed first.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> bool {
        let mut state = lock(&self.state);
        while state.is_taken {
            state.waiting += 1;
            let (again, has_passed) = wait(&self.given_back, &self.state, state, deadline);
            state = again;
            state.waiting -= 1;
            // Not before another look: it may have been this one that was woken, and then nobody else was.
            if has_passed && state.is_taken {
                return false;
            }
        }
        state.is_taken = true;
        true
    }

    /// For whoever has taken it, or was given it by who has.
    pub(crate) fn give_back(&self) {
        let mut state = lock(&self.state);
        state.is_taken = false;
        if state.waiting > 0 {
            self.given_back.notify_one();
        }
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_waits_up_to_a_deadline_goes_without_it_and_leaves_it_to_others() {
        let turn = Turn::new();
        assert!(turn.take(None));
        assert!(!turn.take(Some(Instant::now())), "it has passed already");
        assert!(!turn.take(Some(Instant::now() + Duration::from_millis(5))));
        turn.give_back();
        assert!(turn.take(Some(Instant::now())), "it's free, whatever the deadline");
    }

    #[test]
    fn everybody_gets_it_in_the_end_and_never_two_at_once() {
        let (turn, inside) = (Arc::new(Turn::new()), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (turn, inside) = (turn.clone(), inside.clone());
                thread::spawn(move || {
                    for round in 0..500_u64 {
                        let short = Instant::now() + Duration::from_micros(round % 7);
                        // Some give up, and may have been woken for nothing.
                        if turn.take((number % 2 == 0).then_some(short)) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            thread::yield_now();
                            inside.fetch_sub(1, Ordering::SeqCst);
                            turn.give_back();
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(turn.take(Some(Instant::now())));
    }
}
