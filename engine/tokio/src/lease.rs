//! A lease for async code: one version across awaits.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use liveswap::{Guard, Lease};
use liveswap_state::{CallError, Interface};

use crate::{AsyncCallError, Place};

/// Holds one version of a module across awaits: see [`Lease`]. Dropping it lets the version go, once the calls that have
/// begun through it have ended.
pub struct AsyncLease<I: Interface + ?Sized> {
    lease: Arc<Lease<I>>,
    place: Place,
}

impl<I: Interface + ?Sized> AsyncLease<I> {
    pub(crate) fn new(lease: Lease<I>, place: Place) -> Self {
        Self { lease: Arc::new(lease), place }
    }

    /// The lease itself: its name, its version, and short calls, which are made on the spot.
    pub fn lease(&self) -> &Lease<I> {
        &self.lease
    }

    /// Makes calls on the leased version, beside the executor.
    ///
    /// If the future is dropped, `work` isn't begun any more; if it has begun, it goes on to its end and holds the version
    /// until then.
    ///
    /// # Errors
    ///
    /// As [`Lease::call`]; and if there is no runtime to make the call on.
    ///
    /// # Panics
    ///
    /// As [`AsyncModule::call`](crate::AsyncModule::call).
    pub fn call<R: Send + 'static>(
        &self,
        work: impl FnOnce(&I::Proxy<Guard<'_>>) -> Result<R, CallError> + Send + 'static,
    ) -> impl Future<Output = Result<R, AsyncCallError>> + Send + 'static {
        let (lease, place) = (self.lease.clone(), self.place.clone());
        async move {
            let called = lease.clone();
            Ok(place.run(lease.name(), move || called.call(work)).await??)
        }
    }
}

impl<I: Interface + ?Sized> fmt::Debug for AsyncLease<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, place } = self;
        formatter.debug_struct("AsyncLease").field("lease", lease).field("place", place).finish()
    }
}
