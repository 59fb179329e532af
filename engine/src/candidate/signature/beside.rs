//! The file that a signature is in: `logic.v1002.so.minisig` beside `logic.v1002.so`, as the `minisign` tool writes it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{SIGNATURE_SIZE_MAX, SignatureError};
use crate::candidate::accept;

/// What follows a file's name in that of its signature, behind a dot.
const EXTENSION: &str = "minisig";

/// Reads the signature that lies beside a candidate. `None` if there is none.
///
/// # Errors
///
/// If it can't be read, isn't a text, or is larger than any signature.
pub fn signature_beside(candidate: impl AsRef<Path>) -> Result<Option<String>, SignatureError> {
    read_signature(path_beside(candidate.as_ref()))
}

/// Reads a signature's file. `None` if there is no such file.
///
/// # Errors
///
/// If it can't be read, isn't a text, or is larger than any signature.
pub fn read_signature(file: impl AsRef<Path>) -> Result<Option<String>, SignatureError> {
    let Some(content) = content(file.as_ref())? else { return Ok(None) };
    if content.len() > SIGNATURE_SIZE_MAX {
        return Err(SignatureError::TooLarge { limit: SIGNATURE_SIZE_MAX });
    }
    let not_a_text = |_| SignatureError::Malformed { what: "it isn't a text".to_owned() };
    String::from_utf8(content).map(Some).map_err(not_a_text)
}

/// What is in the file of a candidate's signature, if there is one. Of what is larger than a signature, one byte more
/// than a signature may have.
pub(crate) fn beside(candidate: &Path) -> Result<Option<Vec<u8>>, SignatureError> {
    content(&path_beside(candidate))
}

/// Which file is signed by what a file of this name holds. `None` if it isn't named like a signature.
#[cfg(any(feature = "watch", test))]
pub(crate) fn signed_by(signature: &Path) -> Option<PathBuf> {
    (signature.extension()? == EXTENSION).then(|| signature.with_extension(""))
}

fn path_beside(candidate: &Path) -> PathBuf {
    let mut path = candidate.as_os_str().to_owned();
    path.push(".");
    path.push(EXTENSION);
    path.into()
}

fn content(file: &Path) -> Result<Option<Vec<u8>>, SignatureError> {
    match read_small(file, SIGNATURE_SIZE_MAX) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SignatureError::Unreadable { path: file.to_owned(), source }),
    }
}

/// Reads a regular file, to one byte beyond `limit` at most.
pub(super) fn read_small(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = accept::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it isn't a regular file"));
    }
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_signature_and_what_it_signs_name_each_other() {
        let candidate = Path::new("/a/logic.v1.4.so");
        assert_eq!(path_beside(candidate), Path::new("/a/logic.v1.4.so.minisig"));
        assert_eq!(signed_by(&path_beside(candidate)).unwrap(), candidate);
        for other in ["/a/logic.v1.4.so", "/a/minisig", "/a/.minisig", "/"] {
            assert_eq!(signed_by(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_signature_is_read_as_far_as_one_goes() {
        let place = tempfile::tempdir().unwrap();
        let candidate = place.path().join("logic.v1.so");
        let file = path_beside(&candidate);
        assert_eq!(signature_beside(&candidate).unwrap(), None);
        fs::write(&file, "signed").unwrap();
        assert_eq!(signature_beside(&candidate).unwrap().as_deref(), Some("signed"));
        fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_signature(&file).unwrap_err().code(), "malformed-signature");
        fs::write(&file, vec![b'x'; SIGNATURE_SIZE_MAX * 2]).unwrap();
        assert_eq!(read_signature(&file).unwrap_err().code(), "signature-too-large");
        assert_eq!(beside(&candidate).unwrap().unwrap().len(), SIGNATURE_SIZE_MAX + 1);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(beside(&candidate).unwrap_err().code(), "unreadable-signature");
    }
}
