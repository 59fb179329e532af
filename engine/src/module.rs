//! A module's handle: how a host calls logic.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use liveswap_state::{CallError, Interface, Passage};

use crate::call::{self, CallPath, Guard, Labelled};
use crate::lease::Lease;

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

    /// The same, under a name: while it lasts, the status and the drain's log name it by that, beside the thread's. For a
    /// thread of a pool, whose own name says nothing. It costs two locks that hardly anybody else takes.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    pub fn call_named<R>(
        &self,
        name: &Arc<str>,
        work: impl FnOnce(&I::Proxy<Guard<'_>>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let _labelled = Labelled::new(&self.path, name);
        self.call(work)
    }

    /// Leases the active version, or the one that this thread is inside of: see [`Lease`]. While the state is turned into
    /// one of another shape, this waits until that is done.
    ///
    /// `name` is what the status and the drain's log call it.
    ///
    /// # Errors
    ///
    /// If there is no active version.
    pub fn lease(&self, name: impl Into<Arc<str>>) -> Result<Lease<I>, CallError> {
        match call::Lease::take(&self.path, name.into()) {
            Ok(lease) => Ok(Lease::new(lease)),
            Err(error) => Err(*error),
        }
    }

    /// The same for a thread that mustn't wait. None if [`lease`](Self::lease) would have to, or would answer an error.
    pub fn try_lease(&self, name: impl Into<Arc<str>>) -> Option<Lease<I>> {
        call::Lease::try_take(&self.path, name.into()).map(Lease::new)
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
    pub(crate) fn proxy(guard: Guard<'_>) -> I::Proxy<Guard<'_>> {
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
