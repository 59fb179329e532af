//! HTTP answers, read as strictly as no client reads them.

use std::fmt::Write;

use serde_json::Value;

/// An answer, as far as anybody looks at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body. Null if there is none.
    pub body: Value,
}

/// The answers that one connection gave, until it was closed.
///
/// `had_head` says that a request may have been a `HEAD`: its answer states the length of a body that doesn't follow.
///
/// # Errors
///
/// What about them isn't well-formed.
pub fn parse(mut bytes: &[u8], had_head: bool) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = find(bytes, b"\r\n\r\n").ok_or_else(|| told("no end of the head", bytes))?;
        let head = str::from_utf8(&bytes[..end]).map_err(|_| told("a head that isn't text", bytes))?;
        let rest = &bytes[end + 4..];
        let (status, length) = parse_head(head)?;
        if (100..200).contains(&status) {
            bytes = rest;
            continue;
        }
        let is_without = had_head && (rest.is_empty() || rest.starts_with(b"HTTP/1."));
        let length = if is_without { 0 } else { length };
        let (body, rest) = rest.split_at_checked(length).ok_or_else(|| told("a body cut short", bytes))?;
        let body = match body {
            [] => Value::Null,
            _ => serde_json::from_slice(body).map_err(|error| told(&error.to_string(), body))?,
        };
        check(status, &body, is_without)?;
        answers.push(Answer { status, body });
        bytes = rest;
    }
    Ok(answers)
}

/// The status and the length of the body.
fn parse_head(head: &str) -> Result<(u16, usize), String> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let version = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = version.and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| format!("no status line: {first:?}"))?;
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or_else(|| format!("no header: {line:?}"))?;
        match name {
            "content-length" => {
                let value = value.parse().map_err(|_| format!("no length: {line:?}"))?;
                if length.replace(value).is_some() {
                    return Err(format!("two lengths: {head:?}"));
                }
            }
            "content-type" if value != "application/json" => return Err(format!("not JSON: {line:?}")),
            "transfer-encoding" => return Err(format!("found chunks, expected a length: {line:?}")),
            _ => {}
        }
    }
    match length {
        Some(length) => Ok((status, length)),
        None if (100..200).contains(&status) => Ok((status, 0)),
        None => Err(format!("no length: {head:?}")),
    }
}

/// What is documented of every answer.
fn check(status: u16, body: &Value, is_without: bool) -> Result<(), String> {
    let is_refusal = body["code"].as_str().is_some_and(is_code) && body["message"].is_string();
    let is_sound = match status {
        200 => is_without || (body.is_object() && body["code"].is_null()),
        // The HTTP library's own, to what is no request.
        400 | 414 | 431 => body.is_null() || is_refusal,
        // Nothing that comes from outside may make the engine say this, as it's for faults of its own.
        500 => false,
        401..=599 => is_without || is_refusal,
        _ => false,
    };
    is_sound.then_some(()).ok_or_else(|| format!("{status} with {body}"))
}

fn is_code(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// Where one thing begins within another.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn told(what: &str, bytes: &[u8]) -> String {
    let mut text = format!("{what}: ");
    let shown = &bytes[..bytes.len().min(1000)];
    write!(text, "{}", shown.escape_ascii()).expect("a string takes all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Vec<u8> {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    #[test]
    fn answers_follow_each_other() {
        let refused = r#"{"code":"not-elf","message":"no"}"#;
        let bytes = [
            b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            answer(200, r#"{"modules":[]}"#),
            answer(422, refused),
            answer(400, ""),
        ]
        .concat();
        let answers = parse(&bytes, false).unwrap();
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 422, 400]);
        assert_eq!(answers[1].body["code"], "not-elf");
    }

    #[test]
    fn what_isnt_well_formed_is_found() {
        for (status, body) in
            [(200, ""), (200, "{"), (500, r#"{"code":"internal","message":""}"#), (422, "{}")]
        {
            assert!(parse(&answer(status, body), false).is_err(), "{status} {body}");
        }
        let whole = answer(200, r#"{"modules":[]}"#);
        for length in 1..whole.len() {
            assert!(parse(&whole[..length], false).is_err(), "cut to {length}");
        }
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n", false).is_err());
    }

    #[test]
    fn the_answer_to_a_head_has_no_body() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
        assert_eq!(parse(&[&head[..], head].concat(), true).unwrap().len(), 2);
        assert!(parse(head, false).is_err());
    }
}
