//! Watching one version: its `health` hook, and the calls that are inside it.
//!
//! The hook may hang, so it's asked on a thread beside, and its answer is taken at a later look. It shares the state as
//! a call does; until it has it, it waits for an exclusive call, and the time that this takes isn't held against it. A
//! thread that is found inside at several looks, and hasn't ended a call in between, is in one that is stuck.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use liveswap_state::fence::Panic;

use super::super::Loaded;
use super::now_ms;
use crate::call::meter::{Meter, Sums};
use crate::call::{CallPath, Guard, Hold, Holding};
use crate::control::{Serial, Settings};
use crate::host::hook::UnderWay;
use crate::probation::judge::{Health, Stuck};
use crate::probation::{Probation, Reason};
use crate::tell::tell;

/// The shortest and the longest time between two looks. In between, a twentieth of the time that has passed.
const BETWEEN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
const PART: u32 = 20;

/// A version that is on probation.
pub(super) struct Watch {
    pub(super) serial: Serial,
    pub(super) since: Instant,
    pub(super) since_ms: u64,
    pub(super) look_at: Instant,
    /// Its predecessor's calls.
    pub(super) usual: Arc<Sums>,
    pub(super) health: Health,
    ask_at: Instant,
    asked: Option<Asked>,
    /// The calls that were seen inside at the last look, by thread.
    inside: HashMap<i32, Seen>,
    pub(super) condemned: Option<Reason>,
    /// That it can't be committed or rolled back was said.
    pub(super) is_told: bool,
}

type Answer = Option<Result<Result<(), String>, Box<Panic>>>;

/// The `health` hook was called.
struct Asked {
    hook: UnderWay<Answer>,
    /// When it began in earnest. Until then it may wait for an exclusive call, which is no fault of its own.
    began: Arc<OnceLock<Instant>>,
}

/// A call that was inside.
struct Seen {
    /// How many calls its thread had made to their end.
    calls: u64,
    since: Instant,
}

impl Watch {
    /// Begins to watch a version. `usual` is what became of its predecessor's calls.
    pub(super) fn new(serial: Serial, usual: Sums, policy: &Probation) -> Self {
        let now = Instant::now();
        Self {
            serial,
            since: now,
            since_ms: now_ms(),
            look_at: now + between(policy, Duration::ZERO),
            usual: Arc::new(usual),
            health: Health::Unknown,
            ask_at: now,
            asked: None,
            inside: HashMap::new(),
            condemned: None,
            is_told: false,
        }
    }

    /// Puts the next look off until it's due, counted from the end of what may have taken its time.
    pub(super) fn look_later(&mut self, policy: &Probation) {
        let (now, elapsed) = (Instant::now(), self.since.elapsed());
        let left = policy.window.checked_sub(elapsed).filter(|left| !left.is_zero());
        self.look_at = now + between(policy, elapsed).min(left.unwrap_or(BETWEEN.1));
    }

    /// Asks the `health` hook if it's time, and takes its answer if it's there.
    pub(super) fn ask(
        &mut self,
        active: &Loaded,
        path: &Arc<CallPath>,
        policy: &Probation,
        settings: &Settings,
    ) {
        if let Some(Asked { hook, began }) = self.asked.take() {
            match settings.hooks.look(hook) {
                Ok(Ok(answer)) => self.hear(answer),
                Ok(Err(error)) => self.health = Health::Bad { reason: error.to_string() },
                Err(hook) => {
                    let waited = began.get().map(Instant::elapsed);
                    match waited.filter(|waited| *waited >= settings.hooks.deadline()) {
                        Some(waited) => self.health = Health::Hung { waited },
                        None => self.asked = Some(Asked { hook, began }),
                    }
                }
            }
        }
        let now = Instant::now();
        if self.asked.is_some()
            || now < self.ask_at
            || matches!(self.health, Health::Bad { .. } | Health::Hung { .. })
        {
            return;
        }
        self.ask_at = now + policy.health_every;
        let began = Arc::new(OnceLock::new());
        let (hook, serial, path) = (active.library.entry().health, active.serial.0, path.clone());
        let beginning = began.clone();
        let run = move || {
            let guard = Guard::enter(&path).ok()?;
            guard.share_state(serial, |state, context| {
                // Nobody else sets it.
                let _ = beginning.set(Instant::now());
                // SAFETY: the state is of the library's type, since the version with this serial number works on it; and
                // it's shared.
                unsafe { hook(state, context) }
            })
        };
        match settings.hooks.begin(&active.footprint, "health", run, drop) {
            Ok(hook) => self.asked = Some(Asked { hook, began }),
            // It's asked again.
            Err(error) => {
                tell(|| tracing::warn!(module = active.library.context().module(), "{error}"));
            }
        }
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Some(Ok(Ok(()))) => self.health = Health::Good,
            Some(Ok(Err(reason))) => self.health = Health::Bad { reason },
            Some(Err(panic)) => {
                let reason = format!("`health` panicked at {}: {}", panic.location, panic.message);
                self.health = Health::Bad { reason };
            }
            // The state may not be looked at now.
            None => {}
        }
    }

    /// The call that hasn't got on for longest.
    pub(super) fn stuck(&mut self, path: &CallPath, meter: &Meter) -> Option<Stuck> {
        let holders = path.holders(self.serial.0);
        let calls: HashMap<_, _> =
            if holders.is_empty() { HashMap::new() } else { meter.progress().into_iter().collect() };
        let mut before = std::mem::take(&mut self.inside);
        let now = Instant::now();
        let mut longest: Option<Stuck> = None;
        for Holding { thread, thread_id, hold, .. } in holders {
            let Hold::Call(Some(method)) = hold else { continue };
            let calls = calls.get(&thread_id).copied().unwrap_or(0);
            let seen = before.remove(&thread_id).filter(|seen| seen.calls == calls);
            let seen = seen.unwrap_or(Seen { calls, since: now });
            let age = now - seen.since;
            if longest.as_ref().is_none_or(|longest| longest.age < age) {
                longest = Some(Stuck { thread, thread_id, method: path.methods[method].name, age });
            }
            self.inside.insert(thread_id, seen);
        }
        longest
    }
}

/// How long until the next look.
fn between(policy: &Probation, elapsed: Duration) -> Duration {
    let shortest = BETWEEN.0.min(policy.window / PART);
    (elapsed / PART).clamp(shortest, BETWEEN.1)
}
