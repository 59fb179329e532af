//! How far a module is in its life. It goes forward only.

use std::fmt;

use serde::Serialize;

/// How far a module is in its life. That isn't a matter of its versions: a swap changes nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifecyclePhase {
    /// The host has declared it. It has no version yet, or none that could be initialized.
    #[default]
    Registered,
    /// Its first version has been initialized, and serves.
    Initialized,
    /// It has started.
    Started,
    /// It has been stopped, and isn't called any more.
    Stopped,
}

impl LifecyclePhase {
    /// Its name, as the status has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Initialized => "initialized",
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }

    /// Whether those that require the module can be initialized.
    pub(crate) fn is_initialized(self) -> bool {
        matches!(self, Self::Initialized | Self::Started)
    }
}

impl fmt::Display for LifecyclePhase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
