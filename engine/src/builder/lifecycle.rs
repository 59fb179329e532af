//! Whether modules are initialized and started by themselves, and what ends the host.

use super::Builder;

impl Builder {
    /// Leaves it to the host to initialize, start and stop the modules:
    /// [`Engine::initialize_modules`](crate::Engine::initialize_modules),
    /// [`start_modules`](crate::Engine::start_modules), [`stop_modules`](crate::Engine::stop_modules), and the same for one
    /// module by its name. A first version that is pushed before its module is initialized, alone or with a set, waits for
    /// that ([`PushOutcome::Waiting`](crate::PushOutcome::Waiting)). A module that is found while the engine runs is
    /// initialized with its first version all the same.
    ///
    /// Without it, a module is initialized with its first version, once what it requires is, and started right
    /// afterwards, once what it requires has started. When the engine ends, what has started is stopped, either way.
    pub fn start_by_hand(mut self) -> Self {
        self.starts_by_hand = true;
        self
    }

    /// Has SIGINT and SIGTERM end nothing by themselves, from the build on: instead
    /// [`Engine::wait_for_end`](crate::Engine::wait_for_end) returns, and no such signal is lost that comes before
    /// somebody waits.
    #[cfg(feature = "signals")]
    pub fn end_on_signals(self) -> Self {
        self.trigger(|_| {
            let end = crate::trigger::end::End::start();
            Ok(Box::new(end.map_err(super::system("listen for SIGINT and SIGTERM"))?))
        })
    }
}
