//! A version on probation, and what has become of one.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

use super::count;
use super::snapshots::{age_ms, ago};

/// How many methods are shown, those with the most calls.
const METHODS_MAX: usize = 5;

/// A version on probation.
#[derive(Deserialize)]
pub(crate) struct Probation {
    pub(crate) version: String,
    ends_ms: u64,
    calls: u64,
    panics: u64,
    errors: u64,
    methods: Vec<Method>,
    health: String,
    condemned: Option<serde_json::Value>,
}

/// A method of it.
#[derive(Deserialize)]
pub(super) struct Method {
    method: String,
    calls: u64,
    median_us: Option<f64>,
    usual_us: Option<f64>,
}

/// What has become of a version.
#[derive(Deserialize)]
pub(crate) struct Verdict {
    pub(crate) number: u64,
    pub(crate) version: String,
    verdict: String,
    /// Why, with a code for programs and words for people.
    reason: Option<Reason>,
    message: Option<String>,
    at_ms: u64,
}

#[derive(Deserialize)]
struct Reason {
    code: String,
}

impl Probation {
    /// The methods that are compared with the predecessor's.
    pub(super) fn methods(&self) -> impl Iterator<Item = &Method> {
        let mut compared: Vec<_> = self.methods.iter().filter(|method| method.usual_us.is_some()).collect();
        compared.sort_by_key(|method| std::cmp::Reverse(method.calls));
        compared.into_iter().take(METHODS_MAX)
    }
}

impl Verdict {
    pub(crate) fn is_rollback(&self) -> bool {
        self.verdict == "rolled-back"
    }

    /// A word for programs, and one for people.
    pub(crate) fn reason(&self) -> (&str, &str) {
        let code = self.reason.as_ref().map_or("rolled-back", |reason| reason.code.as_str());
        (code, self.message.as_deref().unwrap_or("the host's log says why"))
    }
}

impl Display for Probation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { ends_ms, calls, panics, errors, health, condemned, .. } = self;
        // An end that lies behind has no age.
        let left = ends_ms.saturating_sub(age_ms(0)) as f64 / 1000.0;
        let (calls, errors) = (count(*calls, "call", "calls"), count(*errors, "error", "errors"));
        write!(formatter, "{left:.1} s left: {calls}, {panics} panicked, {errors}")?;
        if matches!(health.as_str(), "bad" | "hung") {
            write!(formatter, ", health {health}")?;
        }
        if condemned.is_some() { write!(formatter, ", to be rolled back") } else { Ok(()) }
    }
}

impl Display for Method {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { method, calls, median_us, usual_us } = self;
        let calls = count(*calls, "call", "calls");
        write!(formatter, "`{method}` {calls}")?;
        match (median_us, usual_us) {
            (Some(median), Some(usual)) => write!(formatter, ", {median:.1} µs (usually {usual:.1})"),
            _ => Ok(()),
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { version, at_ms, .. } = self;
        let ago = ago(age_ms(*at_ms));
        if self.is_rollback() {
            write!(formatter, "{version} was rolled back {ago}: {}", self.reason().1)
        } else {
            write!(formatter, "{version} was committed {ago}")
        }
    }
}
