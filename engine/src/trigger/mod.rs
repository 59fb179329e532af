//! Triggers: what pushes by itself. Each ends in the control thread's mailbox, as every push does.

#[cfg(feature = "watch")]
pub(crate) mod config;
#[cfg(feature = "signals")]
pub(crate) mod end;
#[cfg(feature = "signals")]
pub(crate) mod hangup;
#[cfg(feature = "watch")]
pub(crate) mod interval;
#[cfg(feature = "watch")]
pub(crate) mod watch;
