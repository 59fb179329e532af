//! A module's handle for async code.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use liveswap::{Guard, Lease, Module};
use liveswap_state::{CallError, Interface};

use crate::{AsyncCallError, AsyncLease, Place};

/// A module of an engine, for async code. Cheap to clone.
pub struct AsyncModule<I: Interface + ?Sized> {
    module: Module<I>,
    place: Place,
}

impl<I: Interface + ?Sized> AsyncModule<I> {
    /// The module's handle, whose long calls are made in `place`.
    pub fn new(module: Module<I>, place: Place) -> Self {
        Self { module, place }
    }

    /// The handle for short calls, which are made on the spot.
    pub fn module(&self) -> &Module<I> {
        &self.module
    }

    /// One unit of work beside the executor, as [`Module::call`]: all that `work` calls runs on one version, which is the
    /// one that is active when it begins. `name` is what the status calls it meanwhile.
    ///
    /// If the future is dropped, `work` isn't begun any more; if it has begun, it goes on to its end.
    ///
    /// # Errors
    ///
    /// Whatever `work` returns; if there is no active version, or no runtime to make the call on.
    ///
    /// # Panics
    ///
    /// As `work`: a panic of logic is an error, one of the host's own code in `work` goes on here.
    pub fn call<R: Send + 'static>(
        &self,
        name: impl Into<Arc<str>>,
        work: impl FnOnce(&I::Proxy<Guard<'_>>) -> Result<R, CallError> + Send + 'static,
    ) -> impl Future<Output = Result<R, AsyncCallError>> + Send + 'static {
        let (name, this) = (name.into(), self.clone());
        async move {
            let Self { module, place } = this;
            let called = name.clone();
            Ok(place.run(&name, move || module.call_named(&called, work)).await??)
        }
    }

    /// Leases the active version: see [`AsyncLease`]. `name` is what the status and the drain's log call it.
    ///
    /// Nearly always that is done at once. While the state is turned into one of another shape, it's waited for in the
    /// place.
    ///
    /// # Errors
    ///
    /// If there is no active version, or no runtime to wait on.
    pub fn lease(
        &self,
        name: impl Into<Arc<str>>,
    ) -> impl Future<Output = Result<AsyncLease<I>, AsyncCallError>> + Send + 'static {
        let (name, this) = (name.into(), self.clone());
        async move {
            let Self { module, place } = this;
            let at_once: Option<Lease<I>> = module.try_lease(name.clone());
            let lease = match at_once {
                Some(lease) => lease,
                None => {
                    let called = name.clone();
                    place.run(&name, move || module.lease(called)).await??
                }
            };
            Ok(AsyncLease::new(lease, place))
        }
    }
}

impl<I: Interface + ?Sized> Clone for AsyncModule<I> {
    fn clone(&self) -> Self {
        Self { module: self.module.clone(), place: self.place.clone() }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for AsyncModule<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { module, place } = self;
        formatter.debug_struct("AsyncModule").field("module", module).field("place", place).finish()
    }
}
