//! Probation, as the status shows it.

use std::sync::Arc;
use std::time::Duration;

use liveswap_state::MethodSpec;
use serde::Serialize;

use super::Reason;
use crate::call::meter::{Meter, Sums};
use crate::candidate::VersionNumber;

/// A version on probation, and what is known of it so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ProbationStatus {
    /// The version.
    pub version: VersionNumber,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it is committed if nothing is found, in milliseconds since 1970.
    pub ends_ms: u64,
    /// How many calls it has had.
    pub calls: u64,
    /// How many of them panicked.
    pub panics: u64,
    /// How many had an error for their result.
    pub errors: u64,
    /// The methods that it was called by.
    pub methods: Vec<MethodHealth>,
    /// What its `health` hook said last: `unknown`, `good`, `bad` or `hung`.
    pub health: &'static str,
    /// Why it is to be rolled back, if that hasn't been possible yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condemned: Option<Reason>,
}

/// A method of a version on probation, beside the same of its predecessor.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MethodHealth {
    /// The method.
    pub method: &'static str,
    /// How many calls of it there were.
    pub calls: u64,
    /// The time that half of them took at most, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_us: Option<f64>,
    /// The same of the predecessor, if the two are compared: not if one of them has had too few calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_us: Option<f64>,
}

/// How a probation has ended, or how a version was withdrawn otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerdictStatus {
    /// How many verdicts there were since the engine started, with this one.
    pub number: u64,
    /// The version that it is about.
    pub version: VersionNumber,
    /// `committed` or `rolled-back`.
    pub verdict: &'static str,
    /// Why it was rolled back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The same for people to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// What the control thread writes down, for whoever asks to count for himself.
#[derive(Clone, Debug)]
pub(crate) struct ProbationView {
    pub(crate) version: VersionNumber,
    pub(crate) since_ms: u64,
    pub(crate) ends_ms: u64,
    pub(crate) methods: &'static [MethodSpec],
    pub(crate) meter: Arc<Meter>,
    /// The predecessor's calls.
    pub(crate) usual: Arc<Sums>,
    pub(crate) calls_min: u32,
    pub(crate) health: &'static str,
    pub(crate) condemned: Option<Reason>,
}

impl ProbationView {
    /// As it is now.
    pub(crate) fn status(&self) -> ProbationStatus {
        let sums = self.meter.sums();
        let us = |median: Duration| median.as_secs_f64() * 1e6;
        let methods = self.methods.iter().zip(&sums.methods).zip(&self.usual.methods);
        let methods = methods.filter(|((_, sums), _)| sums.calls > 0).map(|((method, sums), usual)| {
            let are_compared = sums.timed().min(usual.timed()) >= self.calls_min.into();
            MethodHealth {
                method: method.name,
                calls: sums.calls,
                median_us: sums.median().map(us),
                usual_us: usual.median().filter(|_| are_compared).map(us),
            }
        });
        ProbationStatus {
            version: self.version.clone(),
            since_ms: self.since_ms,
            ends_ms: self.ends_ms,
            calls: sums.calls(),
            panics: sums.panics(),
            errors: sums.errors(),
            methods: methods.collect(),
            health: self.health,
            condemned: self.condemned.clone(),
        }
    }
}
