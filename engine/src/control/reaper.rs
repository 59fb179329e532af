//! The reaper: takes retired versions out of memory, on a thread of its own.
//!
//! A retired version has left its slot. Nobody enters it any more but through a lease, but calls may still be inside, and
//! calls may have left something on their threads, which are asked to settle that. The reaper
//!
//! 1. waits until the last call has left and the last lease has ended,
//! 2. has the version's `teardown` hook called ([`departure`](super::departure)),
//! 3. waits for the threads that have something to settle, and for those that the version has started (its
//!    [footprint](crate::call::footprint)),
//! 4. has its `unload` hook called,
//! 5. unmaps the library, and looks whether it is really gone.
//!
//! What is known of each version on its list is in [`retired`], and how its holders are named in [`naming`].
//!
//! A deadline that passes never unmaps: it is logged, with the holders' names, and the wait goes on. A slow
//! call holds up its own version only: the next push and the other versions don't wait for it.

mod naming;
mod retired;

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Serial;
use super::departure::Departure;
use super::library::Unmapped;
use super::staged::Staged;
use crate::call::{Bell, CallPath, Holding, owed};
use crate::candidate::VersionNumber;
use crate::error::PushError;
use crate::host;
use crate::lock::lock;
use crate::tell::tell;
pub(super) use naming::described;
pub(crate) use retired::RetiredView;
use retired::{Retired, RetiredState, forget};

/// How long the end of the engine waits for threads that owe something: time enough for those that call often.
const GRACE: Duration = Duration::from_millis(100);

/// How long a push waits for the reaper to catch up.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Reaper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    drain_deadline: Duration,
}

struct Shared {
    retired: Mutex<Vec<Retired>>,
    /// Rung by callers that leave a version that is waited for, and by the reaper when it is done with one.
    bell: Arc<Bell>,
    /// When to stop waiting for what still drains: set once, when the engine ends.
    stop: Mutex<Option<Stop>>,
}

impl Reaper {
    /// Starts the thread. `bell` is the one that callers ring when they leave a version that is waited for.
    pub(crate) fn start(bell: Arc<Bell>, drain_deadline: Duration) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { retired: Mutex::new(Vec::new()), bell, stop: Mutex::new(None) });
        let thread = thread::Builder::new().name("liveswap-reaper".into()).spawn({
            let shared = shared.clone();
            move || shared.run()
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), drain_deadline })
    }

    /// Takes over a version that isn't published any more. The reaper attends to it from the next
    /// [`look`](Self::look) on.
    pub(crate) fn retire(&self, path: Arc<CallPath>, departure: Departure) {
        Self::begin(&departure);
        let mut retired = Retired::new(path, &departure, self.drain_deadline);
        retired.was_published = true;
        retired.state = RetiredState::Draining(Box::new(departure));
        lock(&self.shared.retired).push(retired);
    }

    /// Lists a candidate whose constructors haven't returned. It stays: nobody will know what they have done.
    pub(crate) fn list_unloaded(&self, path: Arc<CallPath>, staged: &Staged) {
        lock(&self.shared.retired).push(Retired {
            serial: staged.serial,
            path,
            version: staged.readable.version.clone(),
            footprint: staged.footprint.clone(),
            was_published: false,
            state: RetiredState::Retained("its constructors didn't return in time".to_owned(), None),
            deadline: None,
            overdue: false,
        });
    }

    /// Has the reaper look at what has retired.
    pub(crate) fn look(&self) {
        self.shared.bell.ring();
    }

    /// Takes over a candidate that has failed after it was loaded, and waits a moment until it's unmapped. If
    /// threads hold it, it stays on the list until they let go.
    pub(crate) fn discard(&self, path: Arc<CallPath>, departure: Departure) {
        let serial = departure.serial;
        Self::begin(&departure);
        let mut retired = Retired::new(path, &departure, self.drain_deadline);
        retired.state = RetiredState::Draining(Box::new(departure));
        lock(&self.shared.retired).push(retired);
        self.look();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rings = self.shared.bell.rings();
            let is_under_way = |entry: &Retired| entry.serial == serial && !entry.is_kept();
            let wait = lock(&self.shared.retired).iter().any(is_under_way);
            if !wait || !self.shared.bell.wait(rings, Some(deadline)) {
                return;
            }
        }
    }

    /// Asks all threads to settle, and has this one do so, which has called the version's hooks and may be about to
    /// wait.
    fn begin(departure: &Departure) {
        departure.footprint.retire();
        owed::settle_own();
    }

    /// What is on the list, the oldest first.
    pub(crate) fn view(&self) -> Vec<RetiredView> {
        lock(&self.shared.retired).iter().map(Retired::view).collect()
    }

    /// Whether one more version may be retired. If what is in the way may be gone in a moment, that moment is
    /// waited for.
    pub(crate) fn has_room(&self, limit: usize) -> Result<(), PushError> {
        let deadline = Instant::now() + PATIENCE;
        if self.resident().1.len() >= limit {
            // Some may have retired in this very command, and the reaper not been told yet.
            self.look();
        }
        loop {
            let rings = self.shared.bell.rings();
            let (held, versions) = self.resident();
            if versions.len() < limit {
                return Ok(());
            }
            if held >= limit || !self.shared.bell.wait(rings, Some(deadline)) {
                return Err(PushError::TooManyRetained { limit, versions: versions.join("; ") });
            }
        }
    }

    /// How many retired versions are kept in memory, and a description of all that are still there.
    fn resident(&self) -> (usize, Vec<String>) {
        let retired = lock(&self.shared.retired);
        let resident = retired.iter().filter(|entry| !entry.is_over());
        let described: Vec<_> = resident.map(|entry| (entry.is_kept(), entry.describe())).collect();
        let held = described.iter().filter(|(is_kept, _)| *is_kept).count();
        (held, described.into_iter().map(|(_, description)| description).collect())
    }

    /// Whether a version of the module is still draining.
    pub(crate) fn is_draining(&self, module: &Arc<CallPath>) -> bool {
        let is_draining = |state: &_| matches!(state, RetiredState::Draining(_) | RetiredState::Busy);
        let retired = lock(&self.shared.retired);
        retired.iter().any(|retired| Arc::ptr_eq(&retired.path, module) && is_draining(&retired.state))
    }

    /// Who keeps versions of the module from being drained.
    pub(crate) fn draining(&self, module: &Arc<CallPath>) -> Vec<Holding> {
        let is_draining = |state: &_| matches!(state, RetiredState::Draining(_) | RetiredState::Busy);
        let retired = lock(&self.shared.retired);
        let draining = retired.iter().filter(|it| Arc::ptr_eq(&it.path, module) && is_draining(&it.state));
        draining.flat_map(Retired::holders).collect()
    }

    /// Waits until everything is unmapped, or until `deadline`; what is still held then stays mapped. For threads
    /// that only owe something it waits a moment.
    pub(crate) fn stop(&self, deadline: Option<Instant>) {
        *lock(&self.shared.stop) = Some(Stop { deadline, grace: Instant::now() + GRACE });
        self.shared.bell.ring();
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            // It runs no code that panics; if it did all the same, there is nothing left to do for it.
            let _ = thread.join();
        }
    }

    /// Whether this is the reaper's own thread, in a subscriber.
    pub(super) fn is_this_thread(&self) -> bool {
        lock(&self.thread).as_ref().is_some_and(|thread| thread.thread().id() == thread::current().id())
    }
}

/// The engine ends. What runs is waited for up to the deadline, or for as long as it takes.
#[derive(Clone, Copy)]
struct Stop {
    deadline: Option<Instant>,
    /// For threads that only owe something.
    grace: Instant,
}

/// The moment after this time; none if that is too far away to be told.
pub(super) fn deadline_in(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// What the reaper finds when it looks through its list.
enum Look {
    /// Nobody is inside this one any more.
    Drained(Serial, Box<Departure>),
    /// Nobody holds this one any more.
    Free(Serial, Box<Departure>),
    /// This one's deadline has passed.
    Overdue { module: String, version: VersionNumber, holders: String },
    /// Nothing to do before a ring, or before this deadline.
    Nothing(Option<Instant>),
}

// Nothing is logged under the list's lock: a subscriber may ask the engine for its status, which takes it.
impl Shared {
    fn run(&self) {
        loop {
            // Read before looking, so that no ring between the look and the wait is lost.
            let rings = self.bell.rings();
            let mut next = match self.look() {
                Look::Drained(serial, departure) => {
                    departure.footprint.drain();
                    departure.tear_down();
                    self.set(serial, RetiredState::Leaving(departure));
                    continue;
                }
                Look::Free(serial, mut departure) if departure.is_prepared => {
                    departure.unload();
                    self.set(serial, RetiredState::Leaving(departure));
                    continue;
                }
                Look::Free(serial, departure) => {
                    self.unmap(serial, *departure);
                    continue;
                }
                Look::Overdue { module, version, holders } => {
                    tell(|| {
                        tracing::warn!(
                            module, %version, holders,
                            "still in memory after its deadline; it stays mapped until its holders let go"
                        );
                    });
                    continue;
                }
                Look::Nothing(next) => next,
            };
            let stop = *lock(&self.stop);
            if let Some(stop) = stop {
                let Some(until) = self.is_anything_waited_for(stop) else {
                    self.give_up();
                    return;
                };
                next = sooner(next, until);
            }
            // A subscriber may have called the engine on this thread.
            owed::settle_own();
            self.bell.wait(rings, next);
        }
    }

    fn look(&self) -> Look {
        let mut next = None;
        for entry in lock(&self.retired).iter_mut() {
            let held = match &entry.state {
                RetiredState::Draining(_) => entry.path.is_inside(entry.serial.0),
                RetiredState::Leaving(_) => !entry.footprint.is_empty(),
                _ => continue,
            };
            if !held {
                match std::mem::replace(&mut entry.state, RetiredState::Busy) {
                    RetiredState::Draining(departure) => return Look::Drained(entry.serial, departure),
                    RetiredState::Leaving(departure) => return Look::Free(entry.serial, departure),
                    other => entry.state = other,
                }
            } else if !entry.overdue && has_passed(entry.deadline) {
                entry.overdue = true;
                let (module, version) = (entry.path.module.clone(), entry.version.clone());
                return Look::Overdue { module, version, holders: entry.names() };
            } else if !entry.overdue {
                next = sooner(next, entry.deadline);
            }
        }
        Look::Nothing(next)
    }

    fn set(&self, serial: Serial, state: RetiredState) {
        if let Some(entry) = lock(&self.retired).iter_mut().find(|entry| entry.serial == serial) {
            entry.state = state;
        }
        self.bell.ring();
    }

    fn unmap(&self, serial: Serial, departure: Departure) {
        // Outside of the lock: it takes its time, and runs destructors of the library.
        let outcome = departure.unmap();
        let live_bytes = host::live_bytes(serial.0);
        let mut retired = lock(&self.retired);
        let Some(place) = retired.iter().position(|entry| entry.serial == serial) else { return };
        let entry = &mut retired[place];
        let (module, version) = (entry.path.module.clone(), entry.version.clone());
        let (said, reason) = match outcome {
            Unmapped::Gone => {
                entry.state = RetiredState::Unmapped { live_bytes };
                ("unmapped", None)
            }
            Unmapped::BuiltIn => {
                entry.state = RetiredState::BuiltIn;
                ("drained, and built into the host", None)
            }
            Unmapped::Retained { reason, remains } => {
                entry.state = RetiredState::Retained(reason.clone(), Some(remains));
                ("retained in memory", Some(reason))
            }
        };
        // Closing one library makes the loader look at the others too.
        for entry in retired.iter_mut() {
            if let RetiredState::Retained(_, Some(remains)) = &mut entry.state
                && remains.is_gone()
            {
                entry.state = RetiredState::Unmapped { live_bytes: host::live_bytes(entry.serial.0) };
            }
        }
        forget(&mut retired);
        drop(retired);
        self.bell.ring();
        tell(|| match reason {
            None => tracing::info!(module, %version, live_bytes, "{said}"),
            Some(reason) => tracing::warn!(module, %version, reason, "{said}"),
        });
    }

    /// Until when the end of the engine has to wait; none if there is nothing to wait for.
    fn is_anything_waited_for(&self, stop: Stop) -> Option<Option<Instant>> {
        let retired = lock(&self.retired);
        let waits = retired.iter().filter_map(|entry| entry.is_waited_for(stop));
        waits.filter(|until| !has_passed(*until)).reduce(sooner)
    }

    /// The engine ends. Code that somebody may still run must stay, so the libraries are left mapped.
    fn give_up(&self) {
        let mut left = Vec::new();
        for entry in lock(&self.retired).iter_mut() {
            if let RetiredState::Draining(_) | RetiredState::Leaving(_) = entry.state {
                let holders = entry.names();
                // Dropping what was loaded leaves the library mapped, and removes its private copy.
                entry.state = RetiredState::Retained("the engine ended while it was held".to_owned(), None);
                left.push((entry.path.module.clone(), entry.version.clone(), holders));
            }
        }
        for (module, version, holders) in left {
            tell(
                || tracing::warn!(module, %version, holders, "left mapped: the engine ended while it was held"),
            );
        }
    }
}
