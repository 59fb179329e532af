//! What a module does in the background.

use serde::Deserialize;

/// Spawned calls, timers and ticks.
#[derive(Deserialize)]
pub(super) struct Work {
    lanes: Lanes,
    refused: u64,
    timers: u64,
    ticks: Vec<Tick>,
}

#[derive(Deserialize)]
struct Lanes {
    high: Lane,
    normal: Lane,
    low: Lane,
}

#[derive(Deserialize)]
struct Lane {
    running: u64,
    waiting: u64,
}

/// What is done again and again.
#[derive(Deserialize)]
struct Tick {
    period_ms: u64,
    begun: u64,
    failed: u64,
    skipped: u64,
}

impl Work {
    /// None if there is nothing to tell.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { lanes: Lanes { high, normal, low }, refused, timers, ticks } = self;
        let lanes = [("high", high), ("normal", normal), ("low", low)];
        let running: u64 = lanes.iter().map(|(_, lane)| lane.running).sum();
        let waiting: u64 = lanes.iter().map(|(_, lane)| lane.waiting).sum();
        let in_lanes: Vec<_> = lanes
            .iter()
            .filter(|(_, lane)| lane.waiting > 0)
            .map(|(name, lane)| format!("{name} {}", lane.waiting))
            .collect();
        let in_lanes =
            if in_lanes.is_empty() { String::new() } else { format!(" ({})", in_lanes.join(", ")) };
        let mut lines = Vec::new();
        if running + waiting + refused + timers > 0 || !ticks.is_empty() {
            lines.push(format!(
                "{running} running, {waiting} waiting{in_lanes}, {refused} refused, {timers} timers"
            ));
        }
        lines.extend(ticks.iter().map(|Tick { period_ms, begun, failed, skipped }| {
            format!("tick each {period_ms} ms: {begun} begun, {failed} failed, {skipped} skipped")
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(answer: &str) -> Vec<String> {
        serde_json::from_str::<Work>(answer).unwrap().lines()
    }

    #[test]
    fn work_is_told_of_if_there_is_any() {
        let told = lines(
            r#"{"has_own_pool": true, "running_max": 2, "waiting_max": 9, "refused": 3, "timers": 12, "timers_max": 1024,
                "lanes": {"high": {"running": 1, "waiting": 2}, "normal": {"running": 1, "waiting": 0},
                          "low": {"running": 0, "waiting": 5}},
                "ticks": [{"period_ms": 50, "begun": 120, "failed": 1, "skipped": 4}]}"#,
        );
        let expected = [
            "2 running, 7 waiting (high 2, low 5), 3 refused, 12 timers",
            "tick each 50 ms: 120 begun, 1 failed, 4 skipped",
        ];
        assert_eq!(told, expected);

        let idle = r#"{"running": 0, "waiting": 0}"#;
        let idle = format!(r#"{{"high": {idle}, "normal": {idle}, "low": {idle}}}"#);
        let told = lines(&format!(r#"{{"lanes": {idle}, "refused": 0, "timers": 0, "ticks": []}}"#));
        assert!(told.is_empty(), "{told:?}");
    }
}
