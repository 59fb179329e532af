//! How the rehearsal of a candidate went, as a part of the answer to its push.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

use super::count;

/// A rehearsal that was passed.
#[derive(Deserialize)]
pub(super) struct Rehearsed {
    calls: u64,
    compared: u64,
    not_compared: Vec<NotCompared>,
    state: String,
    state_reason: Option<String>,
    took_ms: u64,
}

#[derive(Deserialize)]
struct NotCompared {
    method: String,
    why: String,
}

impl Display for Rehearsed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { calls, compared, not_compared, state, state_reason, took_ms } = self;
        let state = match state.as_str() {
            "snapshot" => "a copy of the state",
            "sample" => "a part of the state",
            "created" => "a created state",
            other => other,
        };
        write!(formatter, "rehearsed in {took_ms} ms on {state}")?;
        if let Some(reason) = state_reason {
            write!(formatter, " ({reason})")?;
        }
        write!(formatter, " with {}, {compared} compared", count(*calls, "call", "calls"))?;
        let why: Vec<_> =
            not_compared.iter().map(|NotCompared { method, why }| format!("`{method}`: {why}")).collect();
        if why.is_empty() { Ok(()) } else { write!(formatter, " (not compared: {})", why.join("; ")) }
    }
}
