//! The guard: a thread is inside a version, from the first call of a unit of work to its last.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use liveswap_state::{Access, CallError, CodePointer, Context, Encoder, Fenced, Gate, State, fence::Panic};

use super::CallPath;
use super::doing::Doing;
use super::gate::Barred;
use super::inside::Inside;
use super::local::{self, Local};
use super::meter::{Clock, Meter, Outcome};
use super::owed;
use super::suspicion::Suspicion;
use super::version::Version;

/// Keeps its thread on one version of a module. While it lives, that version's library stays mapped.
///
/// It belongs to the thread that made it. Leaking one (`std::mem::forget`) holds its version for ever,
/// which the engine's status shows.
pub struct Guard<'module> {
    // No third word: what is as long as two comes back from `enter` in registers.
    local: NonNull<Local>,
    version: NonNull<Version>,
    module: PhantomData<&'module CallPath>,
}

impl<'module> Guard<'module> {
    #[inline(always)]
    pub(crate) fn enter(path: &'module Arc<CallPath>) -> Result<Self, Box<CallError>> {
        let Some(local) = local::local(path) else { return Err(thread_ending(path)) };
        // SAFETY: `local` gave this thread's own, which lives until the thread ends.
        match unsafe { local.as_ref() }.enter(path) {
            Some(version) => Ok(Self { local, version, module: PhantomData }),
            None => Self::enter_by_the_door(path, local),
        }
    }

    #[cold]
    fn enter_by_the_door(
        path: &'module Arc<CallPath>,
        local: NonNull<Local>,
    ) -> Result<Self, Box<CallError>> {
        // SAFETY: as in `enter`.
        let this = unsafe { local.as_ref() };
        let entered = if this.is_kept_out() { None } else { path.door().enter(|| this.enter(path)) };
        match entered {
            Some(version) => Ok(Self { local, version, module: PhantomData }),
            None => {
                // A pass through the engine, though it leads nowhere.
                owed::settle();
                Err(no_active_version(path))
            }
        }
    }

    /// Enters, unless somebody would have to be waited for, or there is no version.
    pub(super) fn try_enter(path: &'module Arc<CallPath>) -> Option<Self> {
        let local = local::local(path)?;
        // SAFETY: as in `enter`.
        let version = unsafe { local.as_ref() }.enter(path)?;
        Some(Self { local, version, module: PhantomData })
    }

    /// Enters a version that is leased for as long as the guard may live.
    pub(super) fn enter_leased(
        path: &'module Arc<CallPath>,
        version: &'module Arc<Version>,
    ) -> Result<Self, Box<CallError>> {
        let Some(local) = local::local(path) else { return Err(thread_ending(path)) };
        // SAFETY: as in `enter`.
        let this = unsafe { local.as_ref() };
        if !this.allows(version) {
            return Err(inside_another(path, version));
        }
        let by_the_door = || path.door().enter(|| this.enter_leased(version, false));
        let entered = match this.enter_leased(version, false) {
            None if !this.is_kept_out() => by_the_door(),
            entered => entered,
        };
        // Nothing is published any more, or this thread would wait for itself: the lease lets it in all the same.
        let version = entered.or_else(|| this.enter_leased(version, true)).expect("it's past the door");
        Ok(Self { local, version, module: PhantomData })
    }

    /// The version, to be kept beyond the guard's life.
    pub(super) fn kept(&self) -> Arc<Version> {
        self.inside().local.kept()
    }

    #[inline(always)]
    fn inside(&self) -> Inside<'_> {
        // SAFETY: the guard doesn't leave its thread (`NonNull` isn't `Send`), and a `Local` isn't freed
        // while its thread is inside, as which this guard counts.
        Inside { local: unsafe { self.local.as_ref() } }
    }

    #[inline(always)]
    fn version(&self) -> &Version {
        // SAFETY: `Local::enter` or `Local::enter_leased` gave it, and keeps it until the last guard is gone.
        unsafe { self.version.as_ref() }
    }
}

impl Guard<'_> {
    /// Has `look` share the state with calls, if this is in the version with this serial number and the state may be
    /// looked at. For what the engine calls by itself; it is no method, and isn't noted as one.
    pub(crate) fn share_state<R>(
        &self,
        serial: usize,
        look: impl FnOnce(*const (), &Context) -> R,
    ) -> Option<R> {
        let version = self.version();
        if version.serial != serial {
            return None;
        }
        let _shared = self.inside().share_for(Doing::NOTHING.borrowing(), version.generation).ok()?;
        Some(look(version.state.0, &version.context))
    }
}

impl Guard<'_> {
    /// Has `work` have the state alone, as an exclusive call has it, if this is in the version with this serial number and
    /// that may have it. If it panics, that is noted as for a call of the name of `hook`.
    pub(crate) fn seclude_state<R>(
        &self,
        serial: usize,
        hook: &'static str,
        work: impl FnOnce(*mut (), &Context) -> Fenced<R>,
    ) -> Option<Fenced<R>> {
        let (inside, version) = (self.inside(), self.version());
        if version.serial != serial {
            return None;
        }
        let mut alone = inside.seclude_for(Doing::NOTHING, version.generation).ok()?;
        let outcome = work(version.state.0, &version.context);
        if let Err(panic) = &outcome {
            alone.suspect(suspicion(version, hook, panic));
            drop(alone);
            inside.path().suspicions.tell();
        }
        Some(outcome)
    }
}

impl Drop for Guard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        leave_apart(self.local);
    }
}

/// Leaves in place of a guard that then is never dropped: for a unit of work whose end is in sight.
///
/// When it's dropped, which is for when the work panics, it leaves out of line. So what is cleaned up then is no more
/// than a call with one argument, and a guard needn't be in memory for it.
pub(crate) struct Leave<'guard> {
    local: NonNull<Local>,
    guard: PhantomData<&'guard CallPath>,
}

impl<'module> Guard<'module> {
    /// # Safety
    ///
    /// The guard is never dropped, and not used once this has left.
    #[inline(always)]
    pub(crate) unsafe fn leaving(&self) -> Leave<'module> {
        Leave { local: self.local, guard: PhantomData }
    }
}

impl Leave<'_> {
    #[inline(always)]
    pub(crate) fn now(self) {
        // SAFETY: as in `Guard::inside`; it stands for a guard.
        let local = unsafe { self.local.as_ref() };
        std::mem::forget(self);
        if (Inside { local }).leave() {
            // Destructors may call a module, which may drop this thread's side of this one if it has stopped.
            owed::settle();
        }
    }
}

impl Drop for Leave<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        leave_apart(self.local);
    }
}

#[inline(never)]
fn leave_apart(local: NonNull<Local>) {
    Leave { local, guard: PhantomData }.now();
}

impl std::fmt::Debug for Guard<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let context = &self.version().context;
        formatter
            .debug_struct("Guard")
            .field("module", &context.module())
            .field("version", &context.version())
            .finish_non_exhaustive()
    }
}

// SAFETY: the guard leads to the interface that the module was declared with, in whose order the version's
// code is; its state is what that code was accepted for; `share` and `seclude` enforce the access; and the
// announcement keeps the library mapped as long as the guard lives.
unsafe impl Gate for Guard<'_> {
    #[inline(always)]
    unsafe fn pass<R: State>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        let (inside, version) = (self.inside(), self.version());
        if let Some(meter) = &version.meter {
            // SAFETY: as the caller vouches.
            return match unsafe { pass_metered(inside, version, meter, method, access, call) } {
                Ok(result) => Ok(result),
                Err(error) => Err(*error),
            };
        }
        // SAFETY: as the caller vouches.
        unsafe { pass_through(inside, version, method, access, call) }
    }

    #[inline(always)]
    fn is_recording(&self) -> bool {
        self.version().recorder.as_ref().is_some_and(|recorder| recorder.is_turn())
    }

    fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        if let Some(recorder) = &self.version().recorder {
            recorder.record(method, encode);
        }
    }
}

/// Makes one call.
///
/// # Safety
///
/// As [`Gate::pass`], of a version that the thread is inside of.
#[inline(always)]
unsafe fn pass_through<R>(
    inside: Inside<'_>,
    version: &Version,
    method: usize,
    access: Access,
    call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
) -> Result<R, CallError> {
    debug_assert!(method < version.code.len(), "the interface has such a method");
    let run = move || {
        let fenced = AbortOnUnwind;
        // SAFETY: the interface has a method of this number, and a version has the code of each.
        let code = unsafe { *version.code.get_unchecked(method) };
        let result = call(code, version.state.0, &version.context);
        std::mem::forget(fenced);
        result
    };
    // `access` is a constant in each proxy's method, so only one of these is compiled into it. A good call and one
    // that has panicked come to their ends apart, so that the good one needn't ask afterwards which it was.
    match access {
        Access::Stateless => {
            let call = inside.call(method);
            match run() {
                Ok(result) => {
                    drop(call);
                    Ok(result)
                }
                Err(panic) => {
                    std::hint::cold_path();
                    drop(call);
                    Err(*panicked(inside.path(), version, method, *panic))
                }
            }
        }
        Access::Shared => match inside.share(method, version.generation) {
            Ok(shared) => match run() {
                Ok(result) => {
                    drop(shared);
                    Ok(result)
                }
                Err(panic) => {
                    std::hint::cold_path();
                    drop(shared);
                    Err(*panicked(inside.path(), version, method, *panic))
                }
            },
            Err(why) => Err(*barred(inside.path(), version, method, why)),
        },
        Access::Exclusive => run_alone(inside, version, method, run).map_err(|error| *error),
    }
}

/// Makes one call, and notes what becomes of it. Out of line, so that other calls pay for no more than the way around.
///
/// # Safety
///
/// As [`pass_through`].
#[cold]
#[inline(never)]
unsafe fn pass_metered<R: State>(
    inside: Inside<'_>,
    version: &Version,
    meter: &Arc<Meter>,
    method: usize,
    access: Access,
    call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
) -> Result<R, Box<CallError>> {
    let tallying = &inside.local.tallying;
    let weight = tallying.begin(meter, method);
    // Inside of the gate: what a call has waited for there is none of the version's doing.
    let metered = |code: CodePointer, state: *mut (), context: &Context| {
        let clock = weight.map(Clock::start);
        let result = call(code, state, context);
        let took = clock.map(|clock| clock.read());
        let outcome = match &result {
            Ok(result) if result.is_error() => Outcome::Error,
            Ok(_) => Outcome::Good,
            Err(_) => Outcome::Panic,
        };
        tallying.end(method, outcome, took);
        result
    };
    // SAFETY: as the caller vouches.
    unsafe { pass_through(inside, version, method, access, metered) }.map_err(Box::new)
}

/// Nothing unwinds out of logic: its fence has caught it. Unwinding from one library into another isn't defined, so
/// should it happen nevertheless, that's the end.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    #[cold]
    fn drop(&mut self) {
        std::process::abort();
    }
}

// These take what they need of a guard and not the guard, which for that would have to be in memory. For the same
// reason their errors are boxed: the result of a good call stays in registers.

fn run_alone<R>(
    inside: Inside<'_>,
    version: &Version,
    method: usize,
    run: impl FnOnce() -> Fenced<R>,
) -> Result<R, Box<CallError>> {
    let path = inside.path();
    let mut alone =
        inside.seclude(method, version.generation).map_err(|why| barred(path, version, method, why))?;
    run().map_err(|panic| {
        alone.suspect(suspicion(version, path.methods[method].name, &panic));
        drop(alone);
        path.suspicions.tell();
        panicked(path, version, method, *panic)
    })
}

#[cold]
fn no_active_version(path: &CallPath) -> Box<CallError> {
    Box::new(CallError::NoActiveVersion { module: path.module.clone() })
}

#[cold]
fn thread_ending(path: &CallPath) -> Box<CallError> {
    Box::new(CallError::ThreadEnding { module: path.module.clone() })
}

#[cold]
fn inside_another(path: &CallPath, leased: &Version) -> Box<CallError> {
    let (module, leased) = (path.module.clone(), leased.context.version().to_owned());
    Box::new(CallError::InsideAnother { module, leased })
}

#[cold]
fn barred(path: &CallPath, version: &Version, method: usize, why: Barred) -> Box<CallError> {
    let (module, method) = (path.module.clone(), path.methods[method].name.to_owned());
    Box::new(match why {
        Barred::Reentrant => CallError::Reentrant { module, method },
        Barred::Superseded => {
            let version = version.context.version().to_owned();
            CallError::Superseded { module, version, method }
        }
        Barred::Deadlock => CallError::Deadlock { module, method },
        Barred::Suspect => {
            let by = path.suspicions.current().map_or_else(String::new, |suspicion| suspicion.method);
            CallError::Suspect { module, method, by }
        }
    })
}

fn suspicion(version: &Version, method: &'static str, panic: &Panic) -> Suspicion {
    Suspicion::of(version.context.version(), method, panic)
}

#[cold]
fn panicked(path: &CallPath, version: &Version, method: usize, panic: Panic) -> Box<CallError> {
    let Panic { message, location } = panic;
    let (module, version) = (path.module.clone(), version.context.version().to_owned());
    let method = path.methods[method].name.to_owned();
    Box::new(CallError::Panicked { module, version, method, message, location })
}
