//! A module's handle: how a host calls logic.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use liveswap_state::{CallError, Interface, Passage};

use crate::call::{CallPath, Guard};

/// A module of an engine, by its interface. Cheap to clone; may be used from any thread.
///
/// ```no_run
/// # #[liveswap_state::interface]
/// # pub trait Game { fn hello(&self, who: &str) -> String; fn hit(&mut self, points: u64) -> u64; }
/// # fn example(engine: liveswap::Engine) -> Result<(), Box<dyn std::error::Error>> {
/// let game = engine.module::<dyn Game>("logic")?;
///
/// let greeting = game.call(|game| game.hello("test"))?;
///
/// // Several calls on one version, whatever is pushed meanwhile:
/// let guard = game.enter()?;
/// guard.hit(3)?;
/// guard.hello("again")?;
/// # Ok(())
/// # }
/// ```
pub struct Module<I: Interface + ?Sized> {
    path: Arc<CallPath>,
    interface: PhantomData<fn() -> Box<I>>,
}

impl<I: Interface + ?Sized> Module<I> {
    pub(crate) fn new(path: Arc<CallPath>) -> Self {
        Self { path, interface: PhantomData }
    }

    /// The module's name.
    pub fn name(&self) -> &str {
        &self.path.module
    }

    /// One unit of work: everything that `work` calls runs on one version. Within another unit of work of
    /// the same module on this thread, it is that one's version.
    ///
    /// # Errors
    ///
    /// If there is no active version; and whatever `work` returns.
    #[inline(always)]
    pub fn call<R>(
        &self,
        work: impl FnOnce(&I::Proxy<Guard<'_>>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let guard = self.guard()?;
        // SAFETY: the guard goes into what is never dropped, and `work` has returned or unwound before this leaves.
        let leave = unsafe { guard.leaving() };
        let entered = ManuallyDrop::new(Self::proxy(guard));
        // It leaves in each branch by itself, so that the good one needn't ask afterwards which it was.
        match work(&entered) {
            Ok(result) => {
                leave.now();
                Ok(result)
            }
            Err(error) => {
                leave.now();
                Err(error)
            }
        }
    }

    /// Enters the active version until what is returned is dropped. Drop it soon: until then, that version
    /// can't leave memory.
    ///
    /// # Errors
    ///
    /// If there is no active version.
    #[inline(always)]
    pub fn enter(&self) -> Result<I::Proxy<Guard<'_>>, CallError> {
        Ok(Self::proxy(self.guard()?))
    }

    #[inline(always)]
    fn guard(&self) -> Result<Guard<'_>, CallError> {
        match Guard::enter(&self.path) {
            Ok(guard) => Ok(guard),
            Err(error) => Err(*error),
        }
    }

    #[inline(always)]
    fn proxy(guard: Guard<'_>) -> I::Proxy<Guard<'_>> {
        // SAFETY: `I` is what the module was declared with, which `Engine::module` has compared, and a version
        // is accepted only if it offers exactly its methods.
        I::proxy(unsafe { Passage::new(guard) })
    }
}

impl<I: Interface + ?Sized> Clone for Module<I> {
    fn clone(&self) -> Self {
        Self::new(self.path.clone())
    }
}

impl<I: Interface + ?Sized> std::fmt::Debug for Module<I> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, interface) = (self.name(), I::NAME);
        formatter
            .debug_struct("Module")
            .field("name", &name)
            .field("interface", &interface)
            .finish_non_exhaustive()
    }
}
