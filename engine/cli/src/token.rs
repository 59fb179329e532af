//! Making a token for the admin API over the network.
//!
//! The host keeps no tokens, only their hashes, so a token is seen once: by whoever makes it.

use std::fmt::{self, Display, Formatter};

use clap::ValueEnum;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The most letters of a name, as the host reads it.
const NAME_MAX: usize = 64;

/// What a token allows.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// To look at the status.
    Read,
    /// Everything.
    Push,
}

/// A token that has just been made.
pub(crate) struct Token {
    /// 32 random bytes, in hex.
    secret: String,
    line: String,
}

impl Token {
    pub(crate) fn new(name: &str, role: Role) -> Result<Self, Failure> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| Failure::no_randomness(&error))?;
        let secret: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let role = match role {
            Role::Read => "read",
            Role::Push => "push",
        };
        let line = format!("{role} {name} {:x}", Sha256::digest(&secret));
        Ok(Self { secret, line })
    }
}

impl Display for Token {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { secret, line } = self;
        writeln!(formatter, "the token, which is shown only now: {secret}")?;
        write!(formatter, "the line for the host's file of tokens: {line}")
    }
}

/// A name that the host takes.
pub(crate) fn parse_name(name: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_plain) {
        return Err(format!("expected 1 to {NAME_MAX} of a-z, 0-9, `-`, `_` and `.`"));
    }
    Ok(name.to_owned())
}
