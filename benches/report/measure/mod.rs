//! How it's measured: contenders take turns on pinned threads, callers call while something else is done, and latencies keep
//! their percentiles.

pub(crate) mod callers;
pub(crate) mod contest;
pub(crate) mod latency;
pub(crate) mod pinned;
pub(crate) mod switches;

/// The middle one; of an even number, the lower of the two.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value that this part of all values don't exceed.
pub(crate) fn quantile(values: impl IntoIterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part) as usize]
}
