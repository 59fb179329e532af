//! The audit log: who has asked for what, over which road, and what became of it.
//!
//! After something has gone wrong, somebody must be able to tell which bytes were pushed, by whom, and what else was
//! asked for. So each command that the control thread takes gets one line, whether it was done or refused, and gets it
//! before whoever asked has an answer. What is turned away before it reaches the control thread (no token, a swap under
//! way) can't have changed anything, and is in the host's log alone.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | the way in, [`Audit::note`] |
//! | [`entry`] | what a line says |
//! | [`commands`] | from what became of a command to an entry |
//! | [`file`] | the file, which only grows |
//!
//! A line that can't be written stops nothing: the service goes on, the host's log says so, and the status counts it.

mod commands;
mod entry;
mod file;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

pub(super) use commands::PushRecord;
pub(crate) use entry::{Action, Entry, Outcome};
pub use file::AuditError;

use crate::lock::lock;
use crate::status::AuditStatus;
use crate::tell::tell;
use file::AuditFile;

/// The audit log, or that there is none. Clones write to the same one.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Arc<Log>>);

struct Log {
    file: Mutex<AuditFile>,
    /// Beside the file, so that a status never waits for a disk.
    status: Mutex<AuditStatus>,
}

impl Audit {
    /// The log in this file; none without one.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, AuditError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let file = Mutex::new(AuditFile::open(path)?);
        Ok(Self(Some(Arc::new(Log { file, status: Mutex::default() }))))
    }

    /// Writes a line. This is the one way into the log, for whatever has happened.
    pub(crate) fn note(&self, entry: &Entry<'_>) {
        let Some(log) = &self.0 else { return };
        let line = entry.line(SystemTime::now());
        // The lock is free again before anybody is told: a subscriber may ask the engine for its status.
        let written = lock(&log.file).append(&line);
        match written {
            Ok(()) => lock(&log.status).lines += 1,
            Err(error) => {
                {
                    let mut status = lock(&log.status);
                    status.failures += 1;
                    status.last_failure = Some(error.to_string());
                }
                let code = error.code();
                tell(|| tracing::error!(code, line, "a line is missing from the audit log: {error}"));
            }
        }
    }

    /// What has become of the lines; none if there is no log.
    pub(crate) fn status(&self) -> Option<AuditStatus> {
        self.0.as_ref().map(|log| lock(&log.status).clone())
    }

    /// For a push that begins.
    pub(super) fn begin_push(&self) -> PushRecord {
        PushRecord::new(self.0.is_some())
    }
}
