//! What a host sets of the audit log.

use std::path::PathBuf;

use super::Builder;

impl Builder {
    /// Keeps an audit log: a line of JSON for each command that the engine is asked to carry out, whoever asks and
    /// whatever becomes of it, with the time, who asked and over which road, the module, the candidate's name, version and
    /// SHA-256, and the outcome.
    ///
    /// The file is made if it's missing, for its owner alone (0600). It's only ever appended to. To rotate it, move it away:
    /// the next line begins a new one. A line that can't be written is counted in the status
    /// ([`AuditStatus`](crate::status::AuditStatus)) and told of in the host's log; the service goes on.
    pub fn audit_log(mut self, path: impl Into<PathBuf>) -> Self {
        // Absolute, because the process may go to another folder later. It fails for an empty path only, which then
        // fails to be opened.
        let path = path.into();
        self.audit_log = Some(std::path::absolute(&path).unwrap_or(path));
        self
    }
}
