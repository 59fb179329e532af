//! What a host asks for itself that leaves nothing to go by itself: to initialize, to start, to stop.

use super::{LifecycleError, LifecyclePhase, Order};
use crate::control::Asker;
use crate::engine::Engine;
#[cfg(feature = "signals")]
use crate::trigger::end::{End, EndSignal};

impl Engine {
    /// Initializes all modules that haven't been: what is required before what requires it. What was pushed, or lies in a
    /// watched folder, becomes each one's first version.
    ///
    /// It's needed only after [`Builder::start_by_hand`](crate::Builder::start_by_hand); otherwise it happens with the
    /// first push.
    ///
    /// # Errors
    ///
    /// The first failure. That module stays registered, and so do those that come after it. The others stay initialized.
    /// What was to be its first version waits on, so it can be tried again.
    pub fn initialize_modules(&self) -> Result<(), LifecycleError> {
        self.live(Order::Initialize, None)
    }

    /// The same for one module, and all that it requires. If it's initialized already, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`initialize_modules`](Self::initialize_modules); if there is no such module; if it was started or stopped.
    pub fn initialize_module(&self, module: &str) -> Result<(), LifecycleError> {
        self.live(Order::Initialize, Some(module))
    }

    /// Starts all modules that haven't been: what is required before what requires it.
    ///
    /// # Errors
    ///
    /// If one hasn't been initialized, and then none is started. If one fails to start: what has been started since is
    /// stopped in the reverse order. All of them are initialized as before, and can be started again; but one that has
    /// failed to stop is closed, and stays stopped.
    pub fn start_modules(&self) -> Result<(), LifecycleError> {
        self.live(Order::Start, None)
    }

    /// The same for one module, and all that it requires. If it has started already, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`start_modules`](Self::start_modules); if there is no such module; if it was stopped.
    pub fn start_module(&self, module: &str) -> Result<(), LifecycleError> {
        self.live(Order::Start, Some(module))
    }

    /// Stops all modules that have started, in the reverse order of their starts. They aren't called any more: calls
    /// answer `NoActiveVersion`, and pushes are refused. Dropping the engine does the same.
    ///
    /// # Errors
    ///
    /// The modules whose hook has failed. They are stopped all the same, and the others too.
    pub fn stop_modules(&self) -> Result<(), LifecycleError> {
        self.live(Order::Stop, None)
    }

    /// The same for one module, after all that require it. If it was stopped already, nothing happens.
    ///
    /// # Errors
    ///
    /// As [`stop_modules`](Self::stop_modules); if there is no such module; if it hasn't started.
    pub fn stop_module(&self, module: &str) -> Result<(), LifecycleError> {
        self.live(Order::Stop, Some(module))
    }

    /// How far a module is.
    ///
    /// # Errors
    ///
    /// If there is no such module.
    pub fn lifecycle(&self, module: &str) -> Result<LifecyclePhase, LifecycleError> {
        let phase = self.core.lifecycle(module);
        phase.ok_or_else(|| LifecycleError::UnknownModule { module: module.to_owned() })
    }

    fn live(&self, order: Order, module: Option<&str>) -> Result<(), LifecycleError> {
        self.core.mailbox.live(order, module.map(str::to_owned), Asker::Host)
    }

    /// Waits for SIGINT or SIGTERM, and says which. Then it's time to drop the engine, which stops the modules in order.
    ///
    /// From [`Builder::end_on_signals`](crate::Builder::end_on_signals) on, or else from here on, these signals don't end
    /// the process by themselves any more.
    ///
    /// # Errors
    ///
    /// If the system doesn't let the process listen for them.
    #[cfg(feature = "signals")]
    pub fn wait_for_end(&self) -> std::io::Result<EndSignal> {
        match self.triggers.iter().find_map(|trigger| trigger.wait_for_end()) {
            Some(signal) => Ok(signal),
            None => Ok(End::start()?.wait()),
        }
    }
}
