//! The body of a set's push: a line that says what follows, and then the candidates' bytes, one after the other.
//!
//! ```text
//! {"candidates":[{"name":"chain.v1002.so","bytes":48,"signature":"untrusted comment: ..."},{"name":...}]}\n
//! BYTES OF THE FIRST, BYTES OF THE SECOND, ...
//! ```
//!
//! The line is JSON. The signature is the content of its file, and is left out if there is none.

use serde::Deserialize;

use crate::candidate::SignatureError;
use crate::candidate::signature::SIGNATURE_SIZE_MAX;
use crate::engine::Push;
use crate::error::PushError;

/// The most bytes that the line may have.
pub(super) const LINE_MAX: usize = 64 * 1024;

#[derive(Deserialize)]
struct Line {
    candidates: Vec<Announced>,
}

/// A candidate that follows.
#[derive(Deserialize)]
struct Announced {
    name: String,
    bytes: usize,
    signature: Option<String>,
}

/// Why a body can't be understood.
#[derive(Debug)]
pub(super) enum Unread {
    Malformed(String),
    Refused(PushError),
}

/// The candidates in a body.
pub(super) fn candidates(body: &[u8]) -> Result<Vec<Push>, Unread> {
    let malformed = |what: String| {
        Unread::Malformed(format!(
            "{what}: expected a line of JSON that lists the candidates, and their bytes"
        ))
    };
    let line = body.iter().take(LINE_MAX).position(|byte| *byte == b'\n');
    let end = line.ok_or_else(|| malformed(format!("found no line within {LINE_MAX} bytes")))?;
    let (line, mut rest) = (&body[..end], &body[end + 1..]);
    let line: Line = serde_json::from_slice(line).map_err(|error| malformed(error.to_string()))?;
    let mut candidates = Vec::new();
    for Announced { name, bytes, signature } in line.candidates {
        if rest.len() < bytes {
            return Err(malformed(format!("found {} bytes of {name}, which has {bytes}", rest.len())));
        }
        let (content, others) = rest.split_at(bytes);
        rest = others;
        if signature.as_ref().is_some_and(|signature| signature.len() > SIGNATURE_SIZE_MAX) {
            return Err(Unread::Refused(SignatureError::TooLarge { limit: SIGNATURE_SIZE_MAX }.into()));
        }
        let push = Push::content(name, content.to_vec());
        candidates.push(match signature {
            Some(signature) => push.signed(signature),
            None => push,
        });
    }
    if !rest.is_empty() {
        return Err(malformed(format!("found {} bytes more than were announced", rest.len())));
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Result<String, String> {
        match candidates(body.as_bytes()) {
            Ok(candidates) => Ok(format!("{candidates:?}")),
            Err(Unread::Malformed(what)) => Err(what),
            Err(Unread::Refused(error)) => Err(error.code().to_owned()),
        }
    }

    #[test]
    fn candidates_are_read_one_after_the_other() {
        let line = r#"{"candidates":[{"name":"a.so","bytes":3,"signature":"S"},{"name":"b.so","bytes":2}]}"#;
        let read = of(&format!("{line}\nABCDE")).unwrap();
        assert!(read.contains("a.so") && read.contains("b.so"), "{read}");
        assert!(of(&format!("{line}\nABCD")).unwrap_err().starts_with("found 1 bytes of b.so, which has 2"));
        assert!(of(&format!("{line}\nABCDEF")).unwrap_err().starts_with("found 1 bytes more"));
        assert!(of(line).unwrap_err().starts_with("found no line"));
        assert!(of("{}\n").unwrap_err().contains("candidates"));
        let huge = format!(r#"{{"candidates":[{{"name":"a.so","bytes":{}}}]}}"#, u64::MAX);
        assert!(of(&format!("{huge}\n")).unwrap_err().starts_with("found 0 bytes of a.so"));
        let signature = "s".repeat(SIGNATURE_SIZE_MAX + 1);
        let line = format!(r#"{{"candidates":[{{"name":"a.so","bytes":0,"signature":"{signature}"}}]}}"#);
        assert_eq!(of(&format!("{line}\n")).unwrap_err(), "signature-too-large");
    }
}
