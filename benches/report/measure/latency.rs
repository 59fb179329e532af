//! Latencies: how long each single call took, kept as percentiles.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The percentiles that the report shows.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// How long calls took, in nanoseconds, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// Up to a minute.
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order"))
    }

    #[inline]
    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(took.as_nanos() as u64);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// What this part of the calls didn't exceed, in nanoseconds.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64
    }

    /// The longest, in nanoseconds.
    pub(crate) fn longest(&self) -> f64 {
        self.0.max() as f64
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }
}
