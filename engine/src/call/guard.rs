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

/// Keeps its thread on one version of a module. While it lives, that version's library stays mapped.
///
/// It belongs to the thread that made it. Leaking one (`std::mem::forget`) holds its version for ever,
/// which the engine's status shows.
pub struct Guard<'module> {
    local: NonNull<Local>,
    module: PhantomData<&'module CallPath>,
}

impl<'module> Guard<'module> {
    #[inline]
    pub(crate) fn enter(path: &'module Arc<CallPath>) -> Result<Self, CallError> {
        let Some(local) = local::local(path) else { return Err(thread_ending(path)) };
        // SAFETY: `local` gave this thread's own, which lives until the thread ends.
        let this = unsafe { local.as_ref() };
        if !this.enter() && (this.is_alone() || !path.door.enter(|| this.enter())) {
            // A pass through the engine, though it leads nowhere.
            owed::settle();
            return Err(no_active_version(path));
        }
        Ok(Self { local, module: PhantomData })
    }

    #[inline]
    fn local(&self) -> &Local {
        // SAFETY: the guard doesn't leave its thread (`NonNull` isn't `Send`), and a `Local` isn't freed
        // while its depth, which this guard counts in, is above 0.
        unsafe { self.local.as_ref() }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.local().leave() {
            // Destructors may call a module, which may drop this guard's own side of it if that has stopped.
            owed::settle();
        }
    }
}

impl std::fmt::Debug for Guard<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let context = &self.local().version().context;
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
    #[inline]
    fn pass<R>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        let local = self.local();
        let run = || {
            let version = local.version();
            let _noted = local.note(method);
            call(version.code[method], version.state.0, &version.context)
        };
        // `access` is a constant in each proxy's method, so only one of these is compiled into it.
        let result = match access {
            Access::Stateless => run(),
            Access::Shared => {
                let _shared = local.share().map_err(|why| barred(local, method, why))?;
                run()
            }
            Access::Exclusive => {
                let mut alone = local.seclude().map_err(|why| barred(local, method, why))?;
                let result = run();
                if let Err(panic) = &result {
                    alone.suspect(suspicion(local, method, panic));
                    drop(alone);
                    local.path().suspicions.tell();
                }
                result
            }
        };
        result.map_err(|panic| panicked(local, method, *panic))
    }
}

#[cold]
fn no_active_version(path: &CallPath) -> CallError {
    CallError::NoActiveVersion { module: path.module.clone() }
}

#[cold]
fn thread_ending(path: &CallPath) -> CallError {
    CallError::ThreadEnding { module: path.module.clone() }
}

#[cold]
fn barred(local: &Local, method: usize, why: Barred) -> CallError {
    let path = local.path();
    let (module, method) = (path.module.clone(), path.methods[method].name.to_owned());
    match why {
        Barred::Reentrant => CallError::Reentrant { module, method },
        Barred::Superseded => {
            let version = local.version().context.version().to_owned();
            CallError::Superseded { module, version, method }
        }
        Barred::Suspect => {
            let by = path.suspicions.current().map_or_else(String::new, |suspicion| suspicion.method);
            CallError::Suspect { module, method, by }
        }
    }
}

#[cold]
fn suspicion(local: &Local, method: usize, panic: &Panic) -> Suspicion {
    let (version, method) = (local.version().context.version(), local.path().methods[method].name);
    Suspicion {
        version: version.to_owned(),
        method: method.to_owned(),
        message: panic.message.clone(),
        location: panic.location.clone(),
    }
}

#[cold]
fn panicked(local: &Local, method: usize, Panic { message, location }: Panic) -> CallError {
    let (module, version) = (local.path().module.clone(), local.version().context.version().to_owned());
    let method = local.path().methods[method].name.to_owned();
    CallError::Panicked { module, version, method, message, location }
}
