//! A place beside the executor for calls that may take long: so many at once, on tokio's threads for blocking work.
//!
//! **Giving up.** Whoever awaits a call may drop the future at any time. A call that hasn't begun is then never made. One
//! that has goes on to its end, since nobody can end a thread that runs foreign code; it keeps its room in the place and
//! its name in the status until then.
//!
//! **Bounds.** No more calls run than there is room for. What waits for room is a future of its caller's, who has decided
//! how many of these there are; nothing is queued here.

use std::panic;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::AsyncCallError;

/// Room for so many calls at once. Cheap to clone; clones share the room, and so may several modules.
#[derive(Clone, Debug)]
pub struct Place {
    room: Arc<Semaphore>,
}

impl Place {
    /// A place in which `running_max` calls may run at once; at least one may. Tokio's own bound on threads for blocking
    /// work (`max_blocking_threads`, 512 by default) stands beside it.
    pub fn new(running_max: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(running_max.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// How many more calls could begin at this moment.
    pub fn room(&self) -> usize {
        self.room.available_permits()
    }

    /// Runs `work`, once there is room. A panic of it goes on in whoever awaits this.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, AsyncCallError> {
        let ending = || AsyncCallError::RuntimeEnding { name: name.to_owned() };
        let permit = self.room.clone().acquire_owned().await.map_err(|_| ending())?;
        let Ok(runtime) = Handle::try_current() else {
            return Err(AsyncCallError::NoRuntime { name: name.to_owned() });
        };
        let call = runtime.spawn_blocking(move || {
            let _stay = Stay { _permit: permit };
            work()
        });
        let mut call = Unbegun(call);
        match (&mut call.0).await {
            Ok(result) => Ok(result),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => Err(ending()),
            },
        }
    }
}

/// A thread's stay in the place.
struct Stay {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Stay {
    fn drop(&mut self) {
        // The thread may be idle from here on.
        liveswap::on_thread_park();
    }
}

/// A call, which isn't made if this is dropped before it has begun.
struct Unbegun<R>(JoinHandle<R>);

impl<R> Drop for Unbegun<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
