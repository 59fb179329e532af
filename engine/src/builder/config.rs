//! What is set for the modules, and where that is read.

use std::path::PathBuf;

use liveswap_state::OptionValue;

use super::Builder;

impl Builder {
    /// Reads the modules' options from a TOML file, which has a table for each module that has any:
    ///
    /// ```toml
    /// [modules.net]
    /// listen = "[::]:9000"
    /// peers = ["one.example", "two.example"]
    ///
    /// [modules.net.limits]
    /// connections = 100
    /// ```
    ///
    /// On top of it goes the environment: `LIVESWAP_NET__LIMITS__CONNECTIONS=200`. A module's first version is told by
    /// [`Logic::configure`](liveswap_state::Logic::configure), and so is the version that serves whenever its options have
    /// changed. The file is watched (with the feature `watch`), and read again by
    /// [`Engine::reload_config`](crate::Engine::reload_config) and at SIGHUP
    /// ([`rescan_on_hangup`](Self::rescan_on_hangup)). One that can't be meant changes nothing while the engine runs: that is
    /// logged, and the status says so ([`Status::config`](crate::Status::config)).
    ///
    /// [`build`](Self::build) fails with [`BuildError::Config`](crate::BuildError::Config) if the file can't be read, or names
    /// a module that isn't declared. What it holds beside `modules` is the host's own.
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        // Absolute, because the process may go to another folder later. It fails for an empty path only, which then fails
        // to be read.
        let file = file.into();
        let file = std::path::absolute(&file).unwrap_or(file);
        self.config.file = Some(file.clone());
        #[cfg(feature = "watch")]
        {
            self = self.trigger(move |core| {
                let watcher = crate::trigger::config::Watcher::start(&file, core.mailbox.clone());
                Ok(Box::new(watcher.map_err(super::system(&format!("watch {}", file.display())))?))
            });
        }
        self
    }

    /// Sets an option of a module, below what the [configuration's file](Self::config) and the environment say. Dots in
    /// `key` lead into tables.
    pub fn option(
        mut self,
        module: impl Into<String>,
        key: impl Into<String>,
        value: impl Into<OptionValue>,
    ) -> Self {
        self.config.set.push((module.into(), key.into(), value.into()));
        self
    }
}
