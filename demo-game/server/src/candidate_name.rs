//! Names of candidates that come from outside, in a URL.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// The name of one file, which can't lead out of the folder that it is looked up in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CandidateName(String);

/// A text that isn't the plain name of a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} isn't the plain name of a file: leave out folders, such as in `logic.v1002.so`")]
pub(crate) struct NotAPlainName(String);

impl FromStr for CandidateName {
    type Err = NotAPlainName;

    fn from_str(text: &str) -> Result<Self, NotAPlainName> {
        // Refuses more than could lead out, so that nobody has to think about what `..` means where.
        if text.is_empty() || text == "." || text.contains(['/', '\\', '\0']) || text.contains("..") {
            return Err(NotAPlainName(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl CandidateName {
    /// Where the file with this name is in `folder`.
    pub(crate) fn within(&self, folder: &Path) -> PathBuf {
        folder.join(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_stays_in_its_folder() {
        for plain in ["logic.v1002.so", "eng.so.1.0.0", "no-such-file", ".hidden", "a b", "é.v1.so"] {
            let name: CandidateName = plain.parse().expect(plain);
            assert_eq!(name.within(Path::new("/candidates")), Path::new("/candidates").join(plain));
        }
    }

    #[test]
    fn what_could_lead_out_is_refused() {
        for wrong in [
            "",
            ".",
            "..",
            "../logic.v1002.so",
            "/etc/passwd",
            "a/b",
            "a/",
            "a/../b",
            "logic..so",
            "a\\b",
            "logic.v1002.so\0",
        ] {
            assert_eq!(wrong.parse::<CandidateName>(), Err(NotAPlainName(wrong.to_owned())), "{wrong:?}");
        }
    }
}
