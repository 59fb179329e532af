//! A lease: how a host holds one version of a module from one call to the next, without a thread.

use std::fmt;
use std::marker::PhantomData;

use liveswap_state::{CallError, Interface};

use crate::call::{self, Guard, Labelled};
use crate::module::Module;

/// Holds one version of a module, for a unit of work that waits between its calls: a request that is answered in parts, a
/// task that awaits. All calls through it run on that version, whatever is pushed meanwhile. It may be sent to another
/// thread and shared among several, which a guard can't.
///
/// While it lives, its version stays in memory; the status and the drain's log name it. So it's for a request, and not for
/// a connection that stays for days. Dropping it lets the version go.
///
/// It doesn't keep the state in its shape: if that is turned into one of another shape meanwhile, calls that touch it are
/// answered [`CallError::Superseded`]. Then drop the lease, take another one, and go on with that. For the moment in which
/// that is done, calls through a lease wait, as all others do.
///
/// ```no_run
/// # #[liveswap_state::interface]
/// # pub trait Game { fn hello(&self, who: &str) -> String; fn hit(&mut self, points: u64) -> u64; }
/// # async fn wait_for_more() {}
/// # async fn example(game: liveswap::Module<dyn Game>) -> Result<(), liveswap::CallError> {
/// let lease = game.lease("GET /hello")?;
/// let greeting = lease.call(|game| game.hello("test"))?;
/// wait_for_more().await;
/// // On the same version:
/// let points = lease.call(|game| game.hit(3))?;
/// # Ok(())
/// # }
/// ```
///
/// Each call runs on the thread that makes it. `liveswap-tokio` has the same for calls that may take long.
pub struct Lease<I: Interface + ?Sized> {
    lease: call::Lease,
    interface: PhantomData<fn() -> Box<I>>,
}

impl<I: Interface + ?Sized> Lease<I> {
    pub(crate) fn new(lease: call::Lease) -> Self {
        Self { lease, interface: PhantomData }
    }

    /// What the status and the drain's log call it.
    pub fn name(&self) -> &str {
        self.lease.name()
    }

    /// The version that it holds.
    pub fn version(&self) -> &str {
        self.lease.version()
    }

    /// Makes calls on the leased version, on this thread, which the status names by the lease's name meanwhile.
    ///
    /// # Errors
    ///
    /// Whatever `work` returns, among it [`CallError::Superseded`]; and [`CallError::InsideAnother`] if this thread is
    /// inside another version of the module.
    pub fn call<R>(
        &self,
        work: impl FnOnce(&I::Proxy<Guard<'_>>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let _labelled = Labelled::new(self.lease.path(), self.lease.name());
        // Left before the label goes.
        let guard = self.lease.enter().map_err(|error| *error)?;
        work(&Module::<I>::proxy(guard))
    }
}

impl<I: Interface + ?Sized> fmt::Debug for Lease<I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, version, name) = (&self.lease.path().module, self.version(), self.name());
        formatter
            .debug_struct("Lease")
            .field("module", module)
            .field("version", &version)
            .field("name", &name)
            .finish_non_exhaustive()
    }
}
