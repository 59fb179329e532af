//! The reaper: takes retired versions out of memory, on a thread of its own.
//!
//! A retired version has left its slot. Nobody enters it any more, but calls may still be inside. The
//! reaper waits until the last of them has left, unmaps the library, and looks whether it is really gone.
//! A deadline that passes never unmaps: it is logged, with the holders' names, and the wait goes on. A
//! slow call holds up its own version only: the next push and the other versions don't wait for it.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Serial;
use super::library::Unmapped;
use super::module::Loaded;
use crate::call::{Bell, CallPath};
use crate::candidate::VersionNumber;
use crate::error::PushError;
use crate::host;
use crate::lock::lock;
use crate::tell::tell;

/// How many versions that are gone are remembered for the status.
const REMEMBERED_MAX: usize = 8;

/// How long a push waits for the reaper to catch up.
const PATIENCE: Duration = Duration::from_secs(2);

/// A version that has left its slot.
struct Retired {
    serial: Serial,
    path: Arc<CallPath>,
    version: VersionNumber,
    state: RetiredState,
    /// When to say that it lasts; none for never.
    deadline: Option<Instant>,
    /// The deadline has passed, and that has been said.
    overdue: bool,
}

impl Retired {
    /// Module, version, and what keeps it in memory.
    fn describe(&self) -> String {
        let why = match &self.state {
            RetiredState::Retained(reason) => reason.clone(),
            _ if self.is_kept() => format!("held by {}", self.holders()),
            _ => "about to be unmapped".to_owned(),
        };
        format!("{} {} ({why})", self.path.module, self.version)
    }

    /// Whether it stays in memory until somebody lets go of it, if ever.
    fn is_kept(&self) -> bool {
        match self.state {
            RetiredState::Draining(_) => !self.path.holders(self.serial.0).is_empty(),
            RetiredState::Retained(_) => true,
            RetiredState::Unmapping | RetiredState::Unmapped { .. } => false,
        }
    }

    fn holders(&self) -> String {
        let holders = self.path.holders(self.serial.0);
        let names: Vec<_> = holders.iter().map(|holder| holder.thread.as_str()).collect();
        names.join(", ")
    }
}

enum RetiredState {
    /// Calls may still be inside.
    Draining(Box<Loaded>),
    /// Being unmapped this moment.
    Unmapping,
    /// Closed, and mapped all the same.
    Retained(String),
    /// No segment of it is mapped any more; this is what it had allocated and nobody had freed by then.
    Unmapped { live_bytes: Option<usize> },
}

/// A retired version, for the status.
pub(crate) struct RetiredView {
    pub(crate) serial: Serial,
    pub(crate) module: String,
    pub(crate) version: VersionNumber,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) live_bytes: Option<usize>,
}

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

    /// Takes over a version that isn't published any more.
    pub(crate) fn retire(&self, path: Arc<CallPath>, loaded: Loaded) {
        let retired = Retired {
            serial: loaded.serial,
            path,
            version: loaded.number.clone(),
            deadline: deadline_in(self.drain_deadline),
            overdue: false,
            state: RetiredState::Draining(Box::new(loaded)),
        };
        lock(&self.shared.retired).push(retired);
        self.shared.bell.ring();
    }

    /// Notes a candidate whose library couldn't be unmapped after its push had failed.
    pub(crate) fn note_retained(
        &self,
        path: Arc<CallPath>,
        serial: Serial,
        version: VersionNumber,
        reason: String,
    ) {
        let state = RetiredState::Retained(reason);
        let deadline = None;
        lock(&self.shared.retired).push(Retired { serial, path, version, state, deadline, overdue: false });
    }

    /// What is on the list, the oldest first.
    pub(crate) fn view(&self) -> Vec<RetiredView> {
        lock(&self.shared.retired)
            .iter()
            .map(|retired| {
                let (state, reason) = match &retired.state {
                    RetiredState::Draining(_) | RetiredState::Unmapping => ("draining", None),
                    RetiredState::Retained(reason) => ("retained", Some(reason.clone())),
                    RetiredState::Unmapped { .. } => ("unmapped", None),
                };
                let live_bytes = match retired.state {
                    RetiredState::Unmapped { live_bytes } => live_bytes,
                    _ => host::live_bytes(retired.serial.0),
                };
                RetiredView {
                    serial: retired.serial,
                    module: retired.path.module.clone(),
                    version: retired.version.clone(),
                    state,
                    reason,
                    live_bytes,
                }
            })
            .collect()
    }

    /// Whether one more version may be retired. Versions that nobody holds are as good as gone, so if they
    /// are all that is in the way, the reaper is given a moment to unmap them.
    pub(crate) fn has_room(&self, limit: usize) -> Result<(), PushError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rings = self.shared.bell.rings();
            let (held, versions) = self.resident();
            if versions.len() < limit {
                return Ok(());
            }
            if held >= limit || !self.shared.bell.wait(rings, Some(deadline)) {
                return Err(PushError::TooManyRetired { limit, versions: versions.join("; ") });
            }
        }
    }

    /// How many retired versions something keeps in memory, and a description of all that are still there.
    fn resident(&self) -> (usize, Vec<String>) {
        let retired = lock(&self.shared.retired);
        let resident = retired.iter().filter(|entry| !matches!(entry.state, RetiredState::Unmapped { .. }));
        let described: Vec<_> = resident.map(|entry| (entry.is_kept(), entry.describe())).collect();
        let held = described.iter().filter(|(is_kept, _)| *is_kept).count();
        (held, described.into_iter().map(|(_, description)| description).collect())
    }

    /// Whether a version of the module is still draining.
    pub(crate) fn is_draining(&self, module: &str) -> bool {
        lock(&self.shared.retired).iter().any(|retired| {
            retired.path.module == module
                && matches!(retired.state, RetiredState::Draining(_) | RetiredState::Unmapping)
        })
    }

    /// Waits until everything is unmapped, or until `deadline`; what is still held then stays mapped.
    pub(crate) fn stop(&self, deadline: Option<Instant>) {
        *lock(&self.shared.stop) = Some(Stop { deadline });
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

/// The engine ends. What drains is waited for up to the deadline, or for as long as it takes.
#[derive(Clone, Copy)]
struct Stop {
    deadline: Option<Instant>,
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
    Drained(Box<Loaded>),
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
                Look::Drained(loaded) => {
                    let serial = loaded.serial;
                    // Outside of the lock: it takes its time, and runs destructors of the library.
                    let outcome = loaded.unmap();
                    self.finish(serial, outcome);
                    continue;
                }
                Look::Overdue { module, version, holders } => {
                    tell(|| {
                        tracing::warn!(
                            module, %version, holders,
                            "still draining after its deadline; it stays mapped until its holders leave"
                        );
                    });
                    continue;
                }
                Look::Nothing(next) => next,
            };
            let stop = *lock(&self.stop);
            if let Some(Stop { deadline }) = stop {
                if !self.is_anything_draining() || has_passed(deadline) {
                    self.give_up();
                    return;
                }
                next = sooner(next, deadline);
            }
            self.bell.wait(rings, next);
        }
    }

    fn look(&self) -> Look {
        let mut next = None;
        for entry in lock(&self.retired).iter_mut() {
            if !matches!(entry.state, RetiredState::Draining(_)) {
                continue;
            }
            if !entry.path.is_inside(entry.serial.0) {
                if let RetiredState::Draining(loaded) =
                    std::mem::replace(&mut entry.state, RetiredState::Unmapping)
                {
                    return Look::Drained(loaded);
                }
            } else if !entry.overdue && has_passed(entry.deadline) {
                entry.overdue = true;
                let (module, version) = (entry.path.module.clone(), entry.version.clone());
                return Look::Overdue { module, version, holders: entry.holders() };
            } else if !entry.overdue {
                next = sooner(next, entry.deadline);
            }
        }
        Look::Nothing(next)
    }

    fn finish(&self, serial: Serial, outcome: Unmapped) {
        let live_bytes = host::live_bytes(serial.0);
        let mut retired = lock(&self.retired);
        let Some(entry) = retired.iter_mut().find(|entry| entry.serial == serial) else { return };
        entry.state = match &outcome {
            Unmapped::Gone => RetiredState::Unmapped { live_bytes },
            Unmapped::Retained(reason) => RetiredState::Retained(reason.clone()),
        };
        let (module, version) = (entry.path.module.clone(), entry.version.clone());
        let is_gone = |entry: &Retired| matches!(entry.state, RetiredState::Unmapped { .. });
        let mut gone = retired.iter().filter(|entry| is_gone(entry)).count();
        retired.retain(|entry| {
            let forget = is_gone(entry) && gone > REMEMBERED_MAX;
            gone -= usize::from(forget);
            !forget
        });
        drop(retired);
        self.bell.ring();
        tell(|| match outcome {
            Unmapped::Gone => tracing::info!(module, %version, live_bytes, "unmapped"),
            Unmapped::Retained(reason) => tracing::warn!(module, %version, reason, "retained in memory"),
        });
    }

    fn is_anything_draining(&self) -> bool {
        lock(&self.retired).iter().any(|entry| matches!(entry.state, RetiredState::Draining(_)))
    }

    /// The engine ends while calls are inside: their code must stay, so the libraries are left mapped.
    fn give_up(&self) {
        let mut left = Vec::new();
        for entry in lock(&self.retired).iter_mut() {
            if let RetiredState::Draining(_) = entry.state {
                // Dropping what was loaded leaves the library mapped, and removes its private copy.
                entry.state = RetiredState::Retained("the engine ended while calls were inside".to_owned());
                left.push((entry.path.module.clone(), entry.version.clone()));
            }
        }
        for (module, version) in left {
            tell(
                || tracing::warn!(module, %version, "left mapped: the engine ended while calls were inside"),
            );
        }
    }
}
