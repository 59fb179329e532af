//! Who asks for something, and over which road: what is demanded of a push, and what is written down of it.

use std::fmt;
use std::path::PathBuf;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The host's own program.
    Host,
    /// Whoever put a file into a watched folder.
    Folder(PathBuf),
}

impl fmt::Display for Asker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("the host"),
            Self::Folder(folder) => write!(formatter, "the folder {}", folder.display()),
        }
    }
}
