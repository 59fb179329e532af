//! Signatures: whether a candidate's bytes are those that somebody who is trusted has signed.
//!
//! They are ed25519 signatures in the format of the `minisign` tool, over the hash of the whole file. What is checked
//! is the user's bytes as they were taken in, before the private copy differs from them in a flag, and before
//! anything else of them is read. Signatures over the file itself, minisign's older format, are refused: for years the
//! tool has made them only if asked to, and what nobody needs to sign nobody should have to check.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | a signature, and whether it holds |
//! | [`keys`] | the keys that are trusted, read anew each time |
//! | [`beside`] | the file that a signature is in |
//! | [`error`] | why a push isn't taken for signed |

mod beside;
mod error;
mod keys;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::Signature;

pub(crate) use beside::beside;
#[cfg(feature = "watch")]
pub(crate) use beside::signed_by;
pub use beside::{read_signature, signature_beside};
pub use error::{Demand, SignatureError, Trusted};
pub(crate) use keys::TrustedKeys;

/// The most bytes that a signature may have: more than the longest comments that the `minisign` tool writes take.
pub(crate) const SIGNATURE_SIZE_MAX: usize = 16 * 1024;

/// A signature's lines: a comment, the signature, a comment that is signed too, and that one's signature.
const LINES: usize = 4;

/// The number of a key, as the `minisign` tool shows it.
///
/// It only says which key is meant. Whoever makes a key can give it any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016X}", self.0)
    }
}

impl KeyId {
    /// The number in the second line of a key or of a signature, with the two letters before it that say how it signs.
    fn read(text: &str) -> Option<(Self, [u8; 2])> {
        let bytes = STANDARD.decode(text.lines().nth(1)?).ok()?;
        let method = bytes.get(..2)?.try_into().expect("two bytes");
        let number = bytes.get(2..10)?.try_into().expect("eight bytes");
        Some((Self(u64::from_le_bytes(number)), method))
    }
}

/// How a signature over a file itself begins.
const LEGACY: [u8; 2] = *b"Ed";

/// Whose signature holds, and what they have said with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) key: KeyId,
    pub(crate) comment: String,
}

/// Checks that `signature`, the content of a signature's file, is one over `content` by one of the keys.
pub(crate) fn verify(content: &[u8], signature: &[u8], keys: &TrustedKeys) -> Result<Signed, SignatureError> {
    if signature.len() > SIGNATURE_SIZE_MAX {
        return Err(SignatureError::TooLarge { limit: SIGNATURE_SIZE_MAX });
    }
    let malformed = |what: &str| SignatureError::Malformed { what: what.to_owned() };
    let text = str::from_utf8(signature).map_err(|_| malformed("it isn't a text"))?;
    let lines = text.lines().count();
    if lines != LINES {
        return Err(malformed(&format!("found {lines} lines, expected {LINES}")));
    }
    let (key, method) =
        KeyId::read(text).ok_or_else(|| malformed("its second line isn't a signature in Base64"))?;
    if method == LEGACY {
        return Err(SignatureError::Legacy { key });
    }
    let signature = Signature::decode(text).map_err(|error| malformed(&error.to_string()))?;
    let mut same_number = keys.numbered(key).peekable();
    if same_number.peek().is_none() {
        return Err(keys.unknown(key));
    }
    if !same_number.any(|known| known.verify(content, &signature, false).is_ok()) {
        return Err(SignatureError::Bad { key });
    }
    Ok(Signed { key, comment: signature.trusted_comment().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use super::*;

    // Made for these tests with the `minisign` tool; the secret half is gone.
    const KEY: &str = "untrusted comment: minisign public key C424EC06543F5603\n\
        RWQDVj9UBuwkxI4l/ymRsjaRmiYjuo/P9JvlZXsZvaPEjwZy6NAchBGZ\n";
    const CONTENT: &[u8] = b"a candidate's bytes\n";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RUQDVj9UBuwkxAat/8MR6kIHdXPl1n+qA7/ScmDtJGImLewlQigoIDbaSWWQMpzXDFOs+BkTpc6k0KMd\
        TRpHlRA05VfdxGqWag8=\n\
        trusted comment: for the tests\n\
        0fd8YNMCT05PieatDLvBg79Altx0fw8pQK+jajX6cUDX+LPvuDQBt3g4oUdMusaCw6N3Ax76aYvKl+Oz2GOZCQ==\n";
    const LEGACY_SIGNATURE: &str = "untrusted comment: signature from minisign secret key\n\
        RWQDVj9UBuwkxMD+Dvn31nP5Ysw0Sk5DEPvRj7joije6RPzc07bS0/krIKEoJo9TzPaKZ1e+YqA7XtBP\
        AHYJb96fS8sDoLTv/wk=\n\
        trusted comment: for the tests\n\
        yqyeFxBCdgOPOxtY+0r/YNt3K11yHHGyQ1ndGhK2k5Tf7ICgBwE1X+wV0wPUz3TbaXHf0//ddrbpx1bn9DMHCw==\n";

    fn keys(folder: &Path) -> TrustedKeys {
        let key = folder.join("one.pub");
        fs::write(&key, KEY).unwrap();
        // Nobody else may write there, whatever the umask.
        fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        TrustedKeys::read(folder).unwrap()
    }

    #[test]
    fn what_the_tool_has_signed_is_signed() {
        let place = tempfile::tempdir().unwrap();
        let signed = verify(CONTENT, SIGNATURE.as_bytes(), &keys(place.path())).unwrap();
        assert_eq!(
            (signed.key.to_string().as_str(), signed.comment.as_str()),
            ("C424EC06543F5603", "for the tests")
        );
    }

    /// The first line is a note that nothing signs. Each bit of all else counts.
    #[test]
    fn a_flipped_bit_in_the_signature_is_found() {
        let place = tempfile::tempdir().unwrap();
        let keys = keys(place.path());
        let from = SIGNATURE.find('\n').unwrap();
        for index in from..SIGNATURE.len() - 1 {
            for bit in 0..8 {
                let mut flipped = SIGNATURE.as_bytes().to_vec();
                flipped[index] ^= 1 << bit;
                let outcome = verify(CONTENT, &flipped, &keys);
                assert!(outcome.is_err(), "byte {index}, bit {bit}: {outcome:?}");
            }
        }
    }

    #[test]
    fn cut_short_anywhere_it_is_malformed() {
        let place = tempfile::tempdir().unwrap();
        let keys = keys(place.path());
        let whole = SIGNATURE.trim_end();
        for length in 0..whole.len() {
            let outcome = verify(CONTENT, &whole.as_bytes()[..length], &keys);
            assert!(matches!(outcome, Err(SignatureError::Malformed { .. })), "{length}: {outcome:?}");
        }
        let longer = format!("{SIGNATURE}more\n");
        assert!(matches!(
            verify(CONTENT, longer.as_bytes(), &keys),
            Err(SignatureError::Malformed { what }) if what.contains("5 lines")
        ));
    }

    #[test]
    fn other_bytes_are_not_what_was_signed() {
        let place = tempfile::tempdir().unwrap();
        let keys = keys(place.path());
        for index in 0..CONTENT.len() {
            let mut other = CONTENT.to_vec();
            other[index] ^= 1;
            let outcome = verify(&other, SIGNATURE.as_bytes(), &keys);
            assert!(matches!(outcome, Err(SignatureError::Bad { .. })), "{index}: {outcome:?}");
        }
    }

    #[test]
    fn the_older_format_is_refused_by_its_name() {
        let place = tempfile::tempdir().unwrap();
        let error = verify(CONTENT, LEGACY_SIGNATURE.as_bytes(), &keys(place.path())).unwrap_err();
        assert!(matches!(error, SignatureError::Legacy { .. }), "{error}");
    }

    #[test]
    fn a_signature_that_is_too_long_isnt_read() {
        let place = tempfile::tempdir().unwrap();
        let keys = keys(place.path());
        // Its comment isn't signed, so nothing but its length is wrong with it.
        let of_length = |length: usize| {
            let (note, rest) = SIGNATURE.split_once('\n').unwrap();
            format!("{note}{}\n{rest}", "x".repeat(length - SIGNATURE.len())).into_bytes()
        };
        assert!(verify(CONTENT, &of_length(SIGNATURE_SIZE_MAX), &keys).is_ok());
        let error = verify(CONTENT, &of_length(SIGNATURE_SIZE_MAX + 1), &keys).unwrap_err();
        assert!(matches!(error, SignatureError::TooLarge { limit: SIGNATURE_SIZE_MAX }), "{error}");
        assert!(error.to_string().contains(&SIGNATURE_SIZE_MAX.to_string()), "{error}");
    }
}
