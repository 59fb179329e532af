//! Suspicion: an exclusive call has panicked, and may have left the state half changed.
//!
//! The call itself is answered with its panic. What the next one finds, nobody knows: so it's noted, and the host has
//! said what is to be done.

use std::sync::{Mutex, OnceLock};

use liveswap_state::fence::Panic;
use serde::Serialize;

use crate::lock::lock;

/// What is done when an exclusive call has panicked, and may have left the state half changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SuspectPolicy {
    /// Calls go on, on the state as it is. The status says that it is suspect, and the log did.
    #[default]
    Continue,
    /// The last snapshot takes the place of the state. Until it's there, calls that touch the state are answered with
    /// [`CallError::Suspect`](liveswap_state::CallError::Suspect). If there is none, that goes on. Hooks that have the state
    /// alone, as `start` and `stop`, aren't called meanwhile.
    Restore,
    /// Calls that touch the state are answered with that error, and such hooks not called, until
    /// [`Engine::restore`](crate::Engine::restore) or [`Engine::trust`](crate::Engine::trust).
    Stop,
}

/// Which call has left the state suspect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Suspicion {
    /// The version that it ran on.
    pub version: String,
    /// The method, or the hook.
    pub method: String,
    /// The panic's message.
    pub message: String,
    /// Where it panicked.
    pub location: String,
}

impl Suspicion {
    /// Of a method, or a hook, that has panicked with the state to itself.
    pub(crate) fn of(version: &str, method: &str, panic: &Panic) -> Self {
        let Panic { message, location } = panic.clone();
        Self { version: version.to_owned(), method: method.to_owned(), message, location }
    }
}

/// What is to be told, and to whom.
pub(crate) struct Suspicions {
    policy: SuspectPolicy,
    current: Mutex<Option<Suspicion>>,
    /// Told when there is something to deal with.
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Suspicions {
    pub(super) fn new(policy: SuspectPolicy) -> Self {
        Self { policy, current: Mutex::new(None), listener: OnceLock::new() }
    }

    /// Whether calls go on.
    pub(super) fn lets_in(&self) -> bool {
        self.policy == SuspectPolicy::Continue
    }

    pub(crate) fn policy(&self) -> SuspectPolicy {
        self.policy
    }

    /// Has `listener` told of each suspicion.
    pub(crate) fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        // There is one engine to a module.
        let _ = self.listener.set(Box::new(listener));
    }

    /// Notes it.
    pub(crate) fn note(&self, suspicion: Suspicion) {
        *lock(&self.current) = Some(suspicion);
    }

    /// Tells of what was noted.
    pub(super) fn tell(&self) {
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    pub(crate) fn current(&self) -> Option<Suspicion> {
        lock(&self.current).clone()
    }

    /// The suspicion that calls are kept out for, if they are.
    pub(crate) fn keeps_out(&self) -> Option<Suspicion> {
        self.current().filter(|_| !self.lets_in())
    }

    pub(crate) fn clear(&self) {
        *lock(&self.current) = None;
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::{Bell, CallPath, FIRST_GENERATION};
    use super::*;

    /// Otherwise one that comes up in between would be forgotten too, and calls turned away without a reason.
    #[test]
    fn a_suspicion_is_forgotten_before_calls_are_let_in_again() {
        let path = CallPath::new("logic".into(), &[], Arc::new(Bell::new()), SuspectPolicy::Stop);
        let path = Arc::new(path);
        let forgetting = lock(&path.suspicions.current);
        let deadline = Instant::now() + Duration::from_secs(20);
        let trusting = thread::spawn({
            let path = path.clone();
            move || path.trust(FIRST_GENERATION, deadline)
        });
        while path.gate.admits(FIRST_GENERATION) {
            assert!(Instant::now() < deadline, "the gate stays closed meanwhile");
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(20));
        assert!(!path.gate.admits(FIRST_GENERATION));
        drop(forgetting);
        assert!(trusting.join().unwrap());
        assert!(path.gate.admits(FIRST_GENERATION));
    }
}
