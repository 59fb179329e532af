//! Which signatures a host demands, and whose it trusts.

use std::path::PathBuf;

use super::Builder;

impl Builder {
    /// Trusts the keys in a folder: each `*.pub` file in it is a public key as `minisign -G` writes it. Nobody but its
    /// owner may write to it.
    ///
    /// It's read anew when a push needs it, so keys are changed without a restart: put the new one there, sign with it,
    /// take the old one away. What was taken in before stays what it is, a predecessor that a rollback returns to too.
    ///
    /// A candidate's signature is what `minisign -S` writes: the file of the same name with `.minisig` behind it, or
    /// what is given to [`Push::signed`](crate::Push::signed).
    pub fn trusted_keys(mut self, folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        // Absolute, because the process may go to another folder later. It fails for an empty path only, which then
        // fails to be read.
        self.authority.keys = Some(std::path::absolute(&folder).unwrap_or(folder));
        self
    }

    /// Whether every push must be signed by a [trusted key](Self::trusted_keys), the host's own too. It must not,
    /// unless set: then only those need a signature that others than the process's owner may have made, such as a file
    /// in a watched folder to which a group may write, and all that come over the network.
    pub fn require_signatures(mut self, are_required: bool) -> Self {
        self.authority.demands_always = are_required;
        self
    }
}
