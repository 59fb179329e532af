//! The guard: a thread is inside a version, from the first call of a unit of work to its last.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use liveswap_state::{Access, CallError, CodePointer, Context, Fenced, Gate, fence::Panic};

use super::CallPath;
use super::gate::Barred;
use super::local::{self, Local};
use super::owed;
use super::suspicion::Suspicion;
use super::version::Version;

/// Keeps its thread on one version of a module. While it lives, that version's library stays mapped.
///
/// It belongs to the thread that made it. Leaking one (`std::mem::forget`) holds its version for ever,
/// which the engine's status shows.
pub struct Guard<'module> {
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
        let entered = if this.is_alone() { None } else { path.door.enter(|| this.enter(path)) };
        match entered {
            Some(version) => Ok(Self { local, version, module: PhantomData }),
            None => {
                // A pass through the engine, though it leads nowhere.
                owed::settle();
                Err(no_active_version(path))
            }
        }
    }

    #[inline(always)]
    fn local(&self) -> &Local {
        // SAFETY: the guard doesn't leave its thread (`NonNull` isn't `Send`), and a `Local` isn't freed
        // while its thread is inside, as which this guard counts.
        unsafe { self.local.as_ref() }
    }

    #[inline(always)]
    fn version(&self) -> &Version {
        // SAFETY: `Local::enter` gave it, and keeps it until the last guard is gone.
        unsafe { self.version.as_ref() }
    }
}

impl Drop for Guard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.local().leave() {
            // Destructors may call a module, which may drop this guard's own side of it if that has stopped.
            owed::settle();
        }
    }
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
    fn pass<R>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        let (local, version) = (self.local(), self.version());
        let run = move || call(version.code[method], version.state.0, &version.context);
        // `access` is a constant in each proxy's method, so only one of these is compiled into it. A good call and one
        // that has panicked come to their ends apart, so that the good one needn't ask afterwards which it was.
        let ended = match access {
            Access::Stateless => {
                let _call = local.call(method);
                match run() {
                    Ok(result) => return Ok(result),
                    Err(panic) => Ended::Panicked(panic),
                }
            }
            Access::Shared => match local.share(method, version.generation) {
                Ok(_shared) => match run() {
                    Ok(result) => return Ok(result),
                    Err(panic) => Ended::Panicked(panic),
                },
                Err(why) => Ended::Barred(why),
            },
            Access::Exclusive => match run_alone(local, version, method, run) {
                Ok(result) => return Ok(result),
                Err(ended) => ended,
            },
        };
        Err(*ended.error(local, version, method))
    }
}

/// How a call has ended that wasn't a good one.
enum Ended {
    Panicked(Box<Panic>),
    Barred(Barred),
}

// These take what they need of a guard and not the guard, which for that would have to be in memory.

fn run_alone<R>(
    local: &Local,
    version: &Version,
    method: usize,
    run: impl FnOnce() -> Fenced<R>,
) -> Result<R, Ended> {
    let mut alone = local.seclude(method, version.generation).map_err(Ended::Barred)?;
    run().map_err(|panic| {
        alone.suspect(suspicion(local, version, method, &panic));
        drop(alone);
        local.path().suspicions.tell();
        Ended::Panicked(panic)
    })
}

impl Ended {
    /// Boxed, as the other errors here are, so that the result of a good call stays in registers.
    #[cold]
    fn error(self, local: &Local, version: &Version, method: usize) -> Box<CallError> {
        Box::new(match self {
            Self::Panicked(panic) => panicked(local, version, method, *panic),
            Self::Barred(why) => barred(local, version, method, why),
        })
    }
}

#[cold]
fn no_active_version(path: &CallPath) -> Box<CallError> {
    Box::new(CallError::NoActiveVersion { module: path.module.clone() })
}

#[cold]
fn thread_ending(path: &CallPath) -> Box<CallError> {
    Box::new(CallError::ThreadEnding { module: path.module.clone() })
}

fn barred(local: &Local, version: &Version, method: usize, why: Barred) -> CallError {
    let path = local.path();
    let (module, method) = (path.module.clone(), path.methods[method].name.to_owned());
    match why {
        Barred::Reentrant => CallError::Reentrant { module, method },
        Barred::Superseded => {
            let version = version.context.version().to_owned();
            CallError::Superseded { module, version, method }
        }
        Barred::Suspect => {
            let by = path.suspicions.current().map_or_else(String::new, |suspicion| suspicion.method);
            CallError::Suspect { module, method, by }
        }
    }
}

fn suspicion(local: &Local, version: &Version, method: usize, panic: &Panic) -> Suspicion {
    let (version, method) = (version.context.version(), local.path().methods[method].name);
    Suspicion {
        version: version.to_owned(),
        method: method.to_owned(),
        message: panic.message.clone(),
        location: panic.location.clone(),
    }
}

fn panicked(
    local: &Local,
    version: &Version,
    method: usize,
    Panic { message, location }: Panic,
) -> CallError {
    let path = local.path();
    let (module, version) = (path.module.clone(), version.context.version().to_owned());
    let method = path.methods[method].name.to_owned();
    CallError::Panicked { module, version, method, message, location }
}
