//! Spawned calls: what logic has the host call later, without holding a version until then.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | a module's [`Spawner`]: from a method's fingerprint and an address to a job |
//! | [`jobs`] | the bounds, the waiting jobs, and the threads that run them |
//!
//! Each module of each engine has a spawner of its own, which the contexts of its versions lead to. So
//! nothing has to be looked up by name or number, and two engines in a process don't meet.

mod jobs;

use std::sync::Arc;

pub(crate) use jobs::Jobs;
use liveswap_state::{CallError, Enter, Interface, MethodSpec, SpawnError, Spawner};

use crate::call::{CallPath, Guard};
use crate::module::Module;

/// What the contexts of a module's versions lead to.
struct ModuleSpawner<I: Interface + ?Sized> {
    module: Module<I>,
    jobs: Arc<Jobs>,
}

/// The spawner of the module with this call path. `I` is the interface that the module was declared with.
pub(crate) fn spawner<I: Interface + ?Sized>(path: Arc<CallPath>, jobs: Arc<Jobs>) -> Arc<dyn Spawner> {
    Arc::new(ModuleSpawner::<I> { module: Module::new(path), jobs })
}

// SAFETY: the arguments are touched by `I::job` only, which runs once the jobs have room for it: then there
// is no error any more. Nothing here calls code of the host's users, and nothing else panics.
unsafe impl<I: Interface + ?Sized> Spawner for ModuleSpawner<I> {
    unsafe fn spawn(&self, method: &MethodSpec, arguments: *mut ()) -> Result<(), SpawnError> {
        let module = self.module.name();
        let Some(number) = I::METHODS.iter().position(|known| known == method) else {
            return Err(SpawnError::UnknownMethod {
                module: module.to_owned(),
                method: method.name.to_owned(),
            });
        };
        // SAFETY: the address is of what the fingerprint of `method` states, and this method's is the same;
        // the fingerprint says of each argument that it is owned.
        let job = || unsafe { I::job(number, arguments, self.module.clone()) };
        self.jobs.take_over(module, I::METHODS[number].name, job)
    }
}

impl<I: Interface + ?Sized> Enter<I> for Module<I> {
    type Gate<'entered> = Guard<'entered>;

    fn enter(&self) -> Result<I::Proxy<Guard<'_>>, CallError> {
        Self::enter(self)
    }
}
