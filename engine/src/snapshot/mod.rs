//! Snapshots as files: what of the state outlives the process.
//!
//! A process may be killed at any moment, a disk may be full, and what was written may come back cut short or
//! changed. A start must find the newest state that is whole, and must never take a damaged one for it. So
//!
//! - a snapshot is written under another name, synced, renamed, and only then is its folder synced
//!   ([`folder`]): whatever bears a snapshot's name was whole at that moment;
//! - it's read twice: once to compare it with its checksums, and only then to be used ([`intact`]);
//! - an older one is removed only after a newer one is on the disk, and only if it is known to be intact. What is
//!   damaged may be all that somebody has left: it's never removed.
//!
//! The bytes are described in [`format`](mod@format). What its blocks hold is the codec's affair; nothing
//! here knows it.

pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod folder;
pub(crate) mod format;
#[cfg(any(test, liveswap_fuzzing))]
pub(crate) mod fuzzing;
pub(crate) mod intact;
