//! Spawned calls: what logic has the host call later, without holding a version until then.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | a module's [`Spawner`]: from a method's fingerprint and an address to a job |
//! | [`work`] | what becomes of one module's jobs |
//! | [`jobs`] | those of all modules |
//! | [`pool`] | the bounds, the waiting jobs, and the threads that run them |
//! | [`lanes`] | which of those that wait goes next |
//!
//! Each module of each engine has a spawner of its own, which the contexts of its versions lead to. So
//! nothing has to be looked up by name or number, and two engines in a process don't meet.

mod jobs;
mod lanes;
mod pool;
mod work;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use jobs::{Bounds, Jobs};
use liveswap_state::{CallError, Enter, Interface, Job, Lane, MethodSpec, SpawnError, Spawner, TimerId};
pub(crate) use pool::{JobPool, Label};
pub(crate) use work::{Owner, Work};

use crate::call::{CallPath, Guard};
use crate::module::Module;

/// What the contexts of a module's versions lead to.
struct ModuleSpawner<I: Interface + ?Sized> {
    module: Module<I>,
    work: Arc<Work>,
}

/// The spawner of the module with this call path. `I` is the interface that the module was declared with.
pub(crate) fn spawner<I: Interface + ?Sized>(path: Arc<CallPath>, work: Arc<Work>) -> Arc<dyn Spawner> {
    Arc::new(ModuleSpawner::<I> { module: Module::new(path), work })
}

impl<I: Interface + ?Sized> ModuleSpawner<I> {
    /// The method's name, and what makes a job of its arguments.
    ///
    /// # Safety
    ///
    /// As [`Spawner::spawn`], if the job is made.
    unsafe fn prepare(
        &self,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<(&'static str, impl FnOnce() -> Job), SpawnError> {
        let Some(number) = I::METHODS.iter().position(|known| known == method) else {
            return self.work.counted(Err(SpawnError::UnknownMethod {
                module: self.module.name().to_owned(),
                method: method.name.to_owned(),
            }));
        };
        // SAFETY: the address is of what the fingerprint of `method` states, and this method's is the same;
        // the fingerprint says of each argument that it is owned.
        let job = move || unsafe { I::job(number, arguments, self.module.clone()) };
        Ok((I::METHODS[number].name, job))
    }
}

// SAFETY: the arguments are touched by `I::job` only, which runs once there is a place for the job: then there
// is no error any more. Nothing here calls code of the host's users but for destructors of arguments, whose panics are
// caught, and nothing else panics.
unsafe impl<I: Interface + ?Sized> Spawner for ModuleSpawner<I> {
    unsafe fn spawn(&self, lane: Lane, method: &MethodSpec, arguments: *mut ()) -> Result<(), SpawnError> {
        // SAFETY: the same promise.
        let (method, job) = unsafe { self.prepare(method, arguments) }?;
        self.work.spawn(lane, method, job)
    }

    unsafe fn spawn_after(
        &self,
        delay: Duration,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<TimerId, SpawnError> {
        // SAFETY: the same promise.
        let (method, job) = unsafe { self.prepare(method, arguments) }?;
        self.work.spawn_after(delay, method, job)
    }

    fn cancel_timer(&self, timer: TimerId) -> bool {
        self.work.cancel_timer(timer)
    }
}

impl<I: Interface + ?Sized> Enter<I> for Module<I> {
    type Gate<'entered> = Guard<'entered>;

    fn enter(&self) -> Result<I::Proxy<Guard<'_>>, CallError> {
        Self::enter(self)
    }
}
