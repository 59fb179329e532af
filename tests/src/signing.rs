//! Keys to sign with, and folders in which they are trusted.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use liveswap::Builder;
use minisign::{KeyPair, SecretKey};

use crate::Host;

/// What a signature made here says in the comment that is signed too.
pub const COMMENT: &str = "release 7, signed by Ada";

/// Where a secret key's number stands among its bytes.
const NUMBER: std::ops::Range<usize> = 54..62;

/// Somebody with a key.
pub struct Signer {
    pair: KeyPair,
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Signer").field(&self.id()).finish()
    }
}

impl Signer {
    /// Somebody with a new key.
    pub fn new() -> Self {
        Self { pair: KeyPair::generate_unencrypted_keypair().expect("the system has random numbers") }
    }

    /// The key's number, as the `minisign` tool shows it.
    pub fn id(&self) -> String {
        format!("{:016X}", u64::from_le_bytes(self.pair.pk.keynum().try_into().expect("eight bytes")))
    }

    /// The content of a signature's file.
    pub fn sign(&self, content: &[u8]) -> String {
        signature(&self.pair.sk, content)
    }

    /// The same by a key of one's own that goes by the number of this one.
    pub fn forge(&self, content: &[u8]) -> String {
        let mut own = Self::new().pair.sk.to_bytes();
        own[NUMBER].copy_from_slice(self.pair.pk.keynum());
        signature(&SecretKey::from_bytes(&own).expect("it was one before"), content)
    }

    /// Signs a file: its signature lies beside it.
    pub fn sign_file(&self, path: &Path) {
        let content = fs::read(path).expect("a candidate can be read");
        fs::write(beside(path), self.sign(&content)).expect("its folder can be written");
    }

    /// Puts the key into a folder of trusted ones.
    pub fn trust(&self, keys: &Path) -> PathBuf {
        let path = keys.join(format!("{}.pub", self.id()));
        let key = self.pair.pk.to_box().expect("a key can be shown");
        fs::write(&path, key.to_string()).expect("the folder can be written");
        set_mode(&path, 0o644);
        path
    }
}

fn signature(key: &SecretKey, content: &[u8]) -> String {
    minisign::sign(None, key, content, Some(COMMENT), None).expect("it is signed").into_string()
}

/// Where the signature of a file lies.
pub fn beside(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".minisig");
    path.into()
}

/// Says who may do what with a file.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is one's own");
}

/// Where a host of [`trusting`] has its trusted keys.
pub fn keys(folder: &Path) -> PathBuf {
    folder.join("keys")
}

/// A host that trusts these, with more to it than that.
pub fn trusting(signers: &[&Signer], change: impl FnOnce(Builder, &Path) -> Builder) -> Host {
    Host::with(|builder, folder| {
        set_mode(folder, 0o700);
        let keys = keys(folder);
        fs::create_dir(&keys).expect("its folder is new");
        set_mode(&keys, 0o755);
        for signer in signers {
            signer.trust(&keys);
        }
        change(builder.trusted_keys(keys), folder)
    })
}
