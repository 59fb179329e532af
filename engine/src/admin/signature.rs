//! The signature of a push, in a header of its request.
//!
//! A signature's file has four lines, one of them a comment in any language, and a header is one line of ASCII. So the
//! file comes in Base64, which every shell has a command for. It comes in a header, not in the body, because then the
//! body stays the library's bytes and nothing else.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::candidate::SignatureError;
use crate::candidate::signature::SIGNATURE_SIZE_MAX;
use crate::error::PushError;

/// The header's name.
const HEADER: &str = "liveswap-signature";

/// The content of the signature's file that came with a request, if one did.
pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<String>, PushError> {
    let malformed = |what: &str| PushError::from(SignatureError::Malformed { what: what.to_owned() });
    let mut given = headers.get_all(HEADER).iter();
    let Some(encoded) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(malformed("there are two of them"));
    }
    // Four letters for three bytes.
    if encoded.len() > SIGNATURE_SIZE_MAX.div_ceil(3) * 4 {
        return Err(SignatureError::TooLarge { limit: SIGNATURE_SIZE_MAX }.into());
    }
    let content = STANDARD.decode(encoded).map_err(|_| malformed("its header isn't in Base64"))?;
    String::from_utf8(content).map(Some).map_err(|_| malformed("it isn't a text"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_str(value).unwrap());
        }
        of_request(&headers).map_err(|error| error.code())
    }

    #[test]
    fn a_signature_is_read_from_its_header() {
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["c2lnbmVkIGJ5IMOkZGEK"]), Ok(Some("signed by \u{e4}da\n".to_owned())));
        assert_eq!(of(&["signed"]), Err("malformed-signature"));
        assert_eq!(of(&["/w=="]), Err("malformed-signature"));
        assert_eq!(of(&["c2lnbmVk", "c2lnbmVk"]), Err("malformed-signature"));
        let of_length = |length| of(&[&STANDARD.encode(vec![b'x'; length])]).map(|read| read.unwrap().len());
        assert_eq!(of_length(SIGNATURE_SIZE_MAX), Ok(SIGNATURE_SIZE_MAX));
        assert_eq!(of_length(SIGNATURE_SIZE_MAX + 3), Err("signature-too-large"));
    }
}
