//! The file of tokens: who may ask over the network, and for what.
//!
//! One token a line: its role, its name, and the SHA-256 of the token in hex, as `liveswap token` prints it. What
//! begins with `#` is a comment. The tokens themselves are nowhere on this machine, so whoever reads the file has none;
//! whoever may write to it makes his own, so it must be its owner's alone. It's read anew for each request: a line that
//! is taken out counts for nothing from that moment on.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::candidate::accept;

/// The most bytes that the file may have: some hundreds of tokens.
const FILE_MAX: u64 = 64 * 1024;

/// The most letters of a token's name.
const NAME_MAX: usize = 64;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// To look at the status and the registry.
    Read,
    /// Everything.
    Push,
}

/// A token that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) hash: [u8; 32],
}

/// Why the file of tokens can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokensError {
    /// It can't be read.
    #[error("can't read the tokens {path}: {source}: check the path and its permissions", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It isn't a regular file.
    #[error("the tokens {path} aren't a regular file: write one line for each token into one", path = path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may read it or write to it.
    #[error("others may get at the tokens {path} (found mode {mode:04o}, expected 0600 or 0400): `chmod go=` it", path = path.display())]
    OpenFile {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It's somebody else's.
    #[error("the tokens {path} belong to user {found}, expected user {expected} or 0: `chown` the file", path = path.display())]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The user that the process runs as.
        expected: u32,
    },
    /// It's longer than any such file.
    #[error("the tokens {path} have more than {limit} bytes: take out what isn't used", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound, in bytes.
        limit: u64,
    },
    /// A line can't be understood.
    #[error("line {line} of the tokens {path}: {problem}: expected `ROLE NAME SHA256`, as `liveswap token` prints it", path = path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl TokensError {
    /// A short word for programs. It doesn't change between releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable-tokens",
            Self::NotAFile { .. } => "tokens-not-a-file",
            Self::OpenFile { .. } => "open-tokens",
            Self::OtherOwner { .. } => "tokens-of-another",
            Self::TooLarge { .. } => "too-many-tokens",
            Self::BadLine { .. } => "bad-tokens",
        }
    }
}

/// The tokens in the file.
pub(super) fn read(path: &Path) -> Result<Vec<Token>, TokensError> {
    let unreadable = |source| TokensError::Unreadable { path: path.to_owned(), source };
    let file = accept::open(path).map_err(unreadable)?;
    check(path, &file)?;
    let mut text = String::new();
    file.take(FILE_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX {
        return Err(TokensError::TooLarge { path: path.to_owned(), limit: FILE_MAX });
    }
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bad = |problem| TokensError::BadLine { path: path.to_owned(), line: index + 1, problem };
        if let Some(token) = parse(line).map_err(bad)? {
            if tokens.iter().any(|known| known.name == token.name) {
                return Err(bad("another token has the same name"));
            }
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// The token that was shown, if it's one of these.
pub(super) fn find<'tokens>(tokens: &'tokens [Token], shown: &str) -> Option<&'tokens Token> {
    // Of hashes: how long it takes to compare them says nothing of a token that has one of them.
    let hash: [u8; 32] = Sha256::digest(shown).into();
    tokens.iter().find(|token| token.hash == hash)
}

/// Whether it's a file that nobody else may read or write to. It's the file that is open that is looked at, whatever
/// has its name by now.
fn check(path: &Path, file: &File) -> Result<(), TokensError> {
    let path = || path.to_owned();
    let metadata = file.metadata().map_err(|source| TokensError::Unreadable { path: path(), source })?;
    if !metadata.is_file() {
        return Err(TokensError::NotAFile { path: path() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(TokensError::OpenFile { path: path(), mode });
    }
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if found != expected && found != 0 {
        return Err(TokensError::OtherOwner { path: path(), found, expected });
    }
    Ok(())
}

/// What a line says; none for a comment.
fn parse(line: &str) -> Result<Option<Token>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let role = match words.next() {
        Some("read") => Role::Read,
        Some("push") => Role::Push,
        _ => return Err("the role is neither `read` nor `push`"),
    };
    let name = words.next().ok_or("there is no name")?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if name.len() > NAME_MAX || !name.chars().all(is_plain) {
        return Err("the name has other letters than a-z, 0-9, `-`, `_` and `.`, or more than 64");
    }
    let hash = words.next().and_then(parse_hash).ok_or("the SHA-256 isn't 64 hex digits")?;
    match words.next() {
        None => Ok(Some(Token { role, name: name.to_owned(), hash })),
        Some(_) => Err("there is something behind the SHA-256"),
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let is_hex = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate().take_while(|_| is_hex) {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    is_hex.then_some(hash)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    /// The SHA-256 of `abc`, as the standard has it.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn refused(text: &str, mode: u32) -> TokensError {
        let (_folder, path) = file(text, mode);
        read(&path).unwrap_err()
    }

    #[test]
    fn tokens_are_found_by_their_hash() {
        let other = "0".repeat(64);
        let text = format!("# who may push\n\n push\tci.server-1  {ABC}\nread board {other} \n");
        let (_folder, path) = file(&text, 0o400);
        let tokens = read(&path).unwrap();
        assert_eq!(tokens.len(), 2);
        let found = find(&tokens, "abc").unwrap();
        assert_eq!((found.role, found.name.as_str()), (Role::Push, "ci.server-1"));
        assert!(
            find(&tokens, "abd").is_none() && find(&tokens, ABC).is_none() && find(&tokens, "").is_none()
        );
    }

    #[test]
    fn lines_that_cant_be_understood_are_named() {
        for (text, part) in [
            (format!("admin ci {ABC}"), "role"),
            ("push".to_owned(), "no name"),
            (format!("push a/b {ABC}"), "letters"),
            (format!("push {} {ABC}", "x".repeat(65)), "letters"),
            ("push ci".to_owned(), "64 hex digits"),
            (format!("push ci {}", &ABC[1..]), "64 hex digits"),
            (format!("push ci {}", ABC.replace('b', "x")), "64 hex digits"),
            (format!("push ci {}é", &ABC[2..]), "64 hex digits"),
            (format!("push ci {ABC} more"), "behind"),
            (format!("push ci {ABC}\nread ci {}", "0".repeat(64)), "same name"),
        ] {
            let error = refused(&format!("# first\n{text}\n"), 0o600);
            assert_eq!(error.code(), "bad-tokens");
            let text = error.to_string();
            assert!(text.contains(part) && (text.contains("line 2 ") || text.contains("line 3 ")), "{text}");
        }
    }

    #[test]
    fn a_file_that_isnt_its_owners_alone_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601] {
            let error = refused("", mode);
            assert_eq!(error.code(), "open-tokens");
            assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        }
        assert_eq!(refused(&"#".repeat(FILE_MAX as usize + 1), 0o600).code(), "too-many-tokens");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap_err().code(), "tokens-not-a-file");
        assert_eq!(read(&folder.path().join("missing")).unwrap_err().code(), "unreadable-tokens");
        let (_folder, path) = file("", 0o600);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            assert_eq!(read(&path).unwrap_err().code(), "tokens-of-another");
        }
    }
}
