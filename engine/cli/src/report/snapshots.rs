//! What became of snapshots.

use std::fmt::{self, Display, Formatter};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::{milliseconds, size};

/// A module's snapshots.
#[derive(Deserialize)]
pub(super) struct Snapshots {
    taken: u64,
    failed: u64,
    under_way: bool,
    last: Option<Taken>,
    last_failure: Option<String>,
    restored_from: Option<String>,
    /// Newer ones that couldn't be used, and why.
    #[serde(default)]
    passed_over: Vec<String>,
}

/// A snapshot.
#[derive(Deserialize)]
pub(crate) struct Taken {
    path: String,
    bytes: u64,
    taken_at_ms: u64,
    took_us: u64,
    pause_us: u64,
}

impl Snapshots {
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { taken, failed, under_way, last, last_failure, restored_from, passed_over } = self;
        let now = if *under_way { ", one is being taken" } else { "" };
        let mut lines = vec![format!("{taken} taken, {failed} failed{now}")];
        lines.extend(last.as_ref().map(|last| format!("last {}: {last}", ago(age_ms(last.taken_at_ms)))));
        lines.extend(last_failure.as_ref().map(|reason| format!("last failure: {reason}")));
        lines.extend(restored_from.as_ref().map(|path| format!("the state was restored from {path}")));
        lines.extend(passed_over.iter().map(|reason| format!("passed over: {reason}")));
        lines
    }
}

impl Display for Taken {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { path, bytes, took_us, pause_us, .. } = self;
        let (took, paused) = (milliseconds(*took_us), milliseconds(*pause_us));
        write!(formatter, "{path}, {}, in {took} ms, paused {paused} ms", size(*bytes))
    }
}

pub(super) fn age_ms(taken_at_ms: u64) -> u64 {
    // A clock that was set back makes it new, at worst.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(taken_at_ms)
}

/// In the largest unit of which there are two.
pub(super) fn ago(age_ms: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min")];
    match UNITS.iter().find(|(length, _)| age_ms >= 2 * length) {
        Some((length, unit)) => format!("{} {unit} ago", age_ms / length),
        None => format!("{} s ago", age_ms / 1000),
    }
}
