//! The keys that are trusted: the `*.pub` files of a folder.
//!
//! They are read anew for each push that needs them. So a key is taken up, or given up, without a restart: add the new
//! one, sign with it, take the old one away. Whoever may write to the folder decides who is trusted, so nobody else
//! than its owner may. A file that isn't a key, or that others may write to, trusts nobody and stands in nobody's way:
//! it is told of, and the other keys hold.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use minisign_verify::PublicKey;
use xxhash_rust::xxh3::Xxh3Default;

use super::beside::read_small;
use super::error::Trusted;
use super::{KeyId, SignatureError};
use crate::candidate::AcceptError;
use crate::candidate::folder;

/// How many keys may be trusted at a time.
const KEYS_MAX: usize = 64;

/// The most bytes that a key's file may have: more than the longest comment that the `minisign` tool writes takes.
const KEY_SIZE_MAX: usize = 2 * 1024;

/// The keys that are trusted now.
pub(crate) struct TrustedKeys {
    keys: Vec<(KeyId, PublicKey)>,
    faults: Vec<SignatureError>,
    /// Tells these keys from others.
    digest: u128,
}

impl TrustedKeys {
    /// Reads the keys in a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, SignatureError> {
        let unreadable = |source| {
            SignatureError::UnreadableKeys(AcceptError::Unreadable { path: folder.to_owned(), source })
        };
        if let Some(exposure) = folder::of_path(folder).map_err(unreadable)? {
            return Err(SignatureError::ExposedKeys(exposure));
        }
        let mut files = folder::list(folder).map_err(SignatureError::UnreadableKeys)?;
        files.retain(|file| file.extension() == Some(OsStr::new("pub")));
        if files.len() > KEYS_MAX {
            return Err(SignatureError::TooManyKeys { folder: folder.to_owned(), limit: KEYS_MAX });
        }
        // In an order that doesn't depend on the file system's.
        files.sort();
        let (mut keys, mut faults, mut digest) = (Vec::new(), Vec::new(), Xxh3Default::new());
        for file in files {
            match read_key(file) {
                Ok((number, key, text)) => {
                    // Each begins with its length, so that no two lists of keys are one text.
                    digest.update(&text.len().to_le_bytes());
                    digest.update(text.as_bytes());
                    keys.push((number, key));
                }
                Err(fault) => faults.push(fault),
            }
        }
        Ok(Self { keys, faults, digest: digest.digest128() })
    }

    /// The keys with this number.
    pub(super) fn numbered(&self, number: KeyId) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |(known, _)| *known == number).map(|(_, key)| key)
    }

    /// What to say to a signature by a key that isn't among these.
    pub(super) fn unknown(&self, found: KeyId) -> SignatureError {
        let trusted = Trusted(self.keys.iter().map(|(number, _)| *number).collect());
        SignatureError::UnknownKey { found, trusted }
    }

    /// Why files that are named like keys are none.
    pub(crate) fn faults(&self) -> &[SignatureError] {
        &self.faults
    }

    /// A number that other keys don't have.
    pub(crate) fn digest(&self) -> u128 {
        self.digest
    }
}

fn read_key(path: PathBuf) -> Result<(KeyId, PublicKey, String), SignatureError> {
    // By the whole way to it, because it may be a link.
    match folder::of_path(&path) {
        Ok(None) => {}
        Ok(Some(exposure)) => return Err(SignatureError::ExposedKeys(exposure)),
        Err(source) => return Err(SignatureError::UnreadableKey { path, source }),
    }
    let content = match read_small(&path, KEY_SIZE_MAX) {
        Ok(content) => content,
        Err(source) => return Err(SignatureError::UnreadableKey { path, source }),
    };
    if content.len() > KEY_SIZE_MAX {
        return Err(SignatureError::KeyTooLarge { path, limit: KEY_SIZE_MAX });
    }
    let key = String::from_utf8(content).ok().and_then(|text| {
        let key = PublicKey::decode(&text).ok()?;
        Some((KeyId::read(&text)?.0, key, text))
    });
    key.ok_or(SignatureError::BadKey { path })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Any 32 bytes will do for a key that nothing is verified with.
    fn write_key(path: &Path, number: u8) {
        use base64::Engine as _;

        let mut bytes = b"Ed".to_vec();
        bytes.extend([number; 8]);
        bytes.extend([7; 32]);
        let line = base64::engine::general_purpose::STANDARD.encode(bytes);
        fs::write(path, format!("untrusted comment: key {number}\n{line}\n")).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    }

    /// A folder that nobody else may write to, whatever the umask.
    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
        place
    }

    fn number(of: u8) -> KeyId {
        KeyId(u64::from_le_bytes([of; 8]))
    }

    fn trusts(keys: &TrustedKeys, key: u8) -> bool {
        keys.numbered(number(key)).next().is_some()
    }

    #[test]
    fn keys_are_read_and_nothing_else_is_one() {
        let place = place();
        let none = TrustedKeys::read(place.path()).unwrap();
        let error = none.unknown(number(1)).to_string();
        assert!(error.contains("0101010101010101") && error.contains("there is none"), "{error}");
        write_key(&place.path().join("one.pub"), 1);
        write_key(&place.path().join("two.pub"), 2);
        write_key(&place.path().join("three.key"), 3);
        let keys = TrustedKeys::read(place.path()).unwrap();
        assert!(trusts(&keys, 1) && trusts(&keys, 2) && !trusts(&keys, 3));
        assert!(keys.faults().is_empty());
        assert_ne!(keys.digest(), none.digest());
        let error = keys.unknown(number(3)).to_string();
        assert!(error.contains("0101010101010101, 0202020202020202"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_key_stands_in_nobodys_way() {
        let place = place();
        let path = |name: &str| place.path().join(name);
        write_key(&path("one.pub"), 1);
        fs::write(path("bad.pub"), "not a key").unwrap();
        fs::write(path("large.pub"), vec![b'x'; KEY_SIZE_MAX + 1]).unwrap();
        fs::create_dir(path("folder.pub")).unwrap();
        for name in ["bad.pub", "large.pub", "folder.pub"] {
            fs::set_permissions(path(name), Permissions::from_mode(0o755)).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", path("link.pub")).unwrap();
        write_key(&path("open.pub"), 2);
        fs::set_permissions(path("open.pub"), Permissions::from_mode(0o666)).unwrap();
        let keys = TrustedKeys::read(place.path()).unwrap();
        assert!(trusts(&keys, 1) && !trusts(&keys, 2));
        let codes: Vec<_> = keys.faults().iter().map(SignatureError::code).collect();
        let expected = ["bad-key", "unreadable-key", "key-too-large", "unreadable-key", "exposed-keys"];
        assert_eq!(codes, expected);
        let large = keys.faults()[2].to_string();
        assert!(large.contains(&KEY_SIZE_MAX.to_string()), "{large}");
    }

    #[test]
    fn a_key_may_be_as_long_as_the_limit() {
        let place = place();
        let path = place.path().join("one.pub");
        write_key(&path, 1);
        let short = fs::read_to_string(&path).unwrap();
        let comment = "x".repeat(KEY_SIZE_MAX - short.len());
        fs::write(&path, format!("{comment}{short}")).unwrap();
        assert!(trusts(&TrustedKeys::read(place.path()).unwrap(), 1));
    }

    #[test]
    fn more_keys_than_anybody_trusts_are_refused() {
        let place = place();
        for key in 0..KEYS_MAX {
            write_key(&place.path().join(format!("{key}.pub")), key as u8);
        }
        assert!(trusts(&TrustedKeys::read(place.path()).unwrap(), 63));
        write_key(&place.path().join("one more.pub"), 64);
        let error = TrustedKeys::read(place.path()).err().unwrap();
        assert!(matches!(error, SignatureError::TooManyKeys { limit: KEYS_MAX, .. }), "{error}");
        assert!(error.to_string().contains(&KEYS_MAX.to_string()), "{error}");
    }

    #[test]
    fn a_folder_that_others_may_write_to_trusts_nobody() {
        let place = place();
        write_key(&place.path().join("one.pub"), 1);
        fs::set_permissions(place.path(), Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(TrustedKeys::read(place.path()).err().unwrap().code(), "exposed-keys");
        let missing = place.path().join("missing");
        assert_eq!(TrustedKeys::read(&missing).err().unwrap().code(), "unreadable-keys");
    }
}
