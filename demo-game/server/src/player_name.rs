//! Names that players call themselves.

use std::str::FromStr;

use thiserror::Error;

/// The most letters that a name has.
const LENGTH_MAX: usize = 32;

/// A name that fits into a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlayerName(String);

/// A text that is empty, too long, or has letters that can't be shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} isn't a player's name: choose one of 1 to {LENGTH_MAX} letters, as in `/join?name=ada`")]
pub(crate) struct NotAPlayerName(String);

impl FromStr for PlayerName {
    type Err = NotAPlayerName;

    fn from_str(text: &str) -> Result<Self, NotAPlayerName> {
        let name = text.trim();
        if name.is_empty() || name.chars().count() > LENGTH_MAX || name.contains(char::is_control) {
            return Err(NotAPlayerName(text.chars().take(2 * LENGTH_MAX).collect()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl PlayerName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_a_line() {
        for (text, name) in [("ada", "ada"), (" Ada Lovelace ", "Ada Lovelace"), ("é", "é")] {
            assert_eq!(text.parse::<PlayerName>().expect(text).as_str(), name);
        }
        for wrong in ["", "  ", "a\nb", "a\u{1b}[2Jb", &"x".repeat(LENGTH_MAX + 1)] {
            assert!(wrong.parse::<PlayerName>().is_err(), "{wrong:?}");
        }
    }
}
