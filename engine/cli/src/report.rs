//! What the engine answers, and how it is told to people.
//!
//! The types are the counterparts of those that the engine serializes. Fields of a later engine are passed
//! over, and stages it adds are shown as they come.

use std::fmt::{self, Display, Formatter};

use indexmap::IndexMap;
use serde::Deserialize;

/// How a push ended.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PushOutcome {
    Published(Published),
    Unchanged { module: String, version: String },
}

/// A publish that has just happened.
#[derive(Deserialize)]
pub(crate) struct Published {
    module: String,
    #[serde(flatten)]
    swap: Swap,
    committed: Option<String>,
}

/// A commit that has just happened.
#[derive(Deserialize)]
pub(crate) struct Committed {
    module: String,
    version: String,
}

/// All modules of an engine.
#[derive(Deserialize)]
pub(crate) struct Status {
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Module {
    name: String,
    phase: String,
    active: Option<Slot>,
    standby: Option<Slot>,
    retired: Vec<Retired>,
    swaps: Swaps,
    last_swap: Option<Swap>,
}

#[derive(Deserialize)]
struct Slot {
    slot: String,
    version: String,
    state_schema: u32,
    in_flight: usize,
    holders: Vec<Holder>,
    live_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Retired {
    version: String,
    state: String,
    holders: Vec<Holder>,
    reason: Option<String>,
    live_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Holder {
    thread: String,
    thread_id: i32,
    holds_by: String,
    method: Option<String>,
    age_ms: u64,
}

#[derive(Deserialize)]
struct Swaps {
    committed: u64,
    rolled_back: u64,
    refused: u64,
}

#[derive(Deserialize)]
struct Swap {
    from: Option<String>,
    to: String,
    /// In the engine's order, which is that of the steps.
    stages_us: IndexMap<String, u64>,
}

impl Display for PushOutcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(published) => published.fmt(formatter),
            Self::Unchanged { module, version } => {
                write!(formatter, "unchanged: {module} {version} is active already")
            }
        }
    }
}

impl Display for Published {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { module, swap, committed } = self;
        write!(formatter, "{module} {swap}")?;
        match committed {
            Some(version) => write!(formatter, "; {version} was on probation and is committed early"),
            None => Ok(()),
        }
    }
}

impl Display for Committed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} is committed", self.module, self.version)
    }
}

/// A block of lines for each module.
impl Display for Status {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (index, module) in self.modules.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{module}")?;
        }
        Ok(())
    }
}

impl Display for Module {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, phase, active, standby, retired, swaps, last_swap } = self;
        writeln!(formatter, "{name}: {phase}")?;
        for (role, slot) in [("active", active), ("standby", standby)] {
            match slot {
                Some(Slot { slot, version, state_schema, in_flight, holders, live_bytes }) => {
                    let live = live_bytes.map(|bytes| format!("  {} live", size(bytes))).unwrap_or_default();
                    let what = format!("{slot}  schema {state_schema}  {in_flight} in flight{live}");
                    row(formatter, role, format_args!("{version:<10} {what}"))?;
                    lines(formatter, holders)?;
                }
                None => row(formatter, role, "-")?,
            }
        }
        for Retired { version, state, holders, reason, live_bytes } in retired {
            let live = live_bytes.map(|bytes| format!(", {} still live", size(bytes))).unwrap_or_default();
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            row(formatter, "retired", format_args!("{version:<10} {state}{live}{reason}"))?;
            lines(formatter, holders)?;
        }
        let Swaps { committed, rolled_back, refused } = swaps;
        let counts = format_args!("{committed} committed, {rolled_back} rolled back, {refused} refused");
        row(formatter, "swaps", counts)?;
        match last_swap {
            Some(swap) => row(formatter, "last swap", swap),
            None => Ok(()),
        }
    }
}

fn row(formatter: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(formatter, "  {name:<10} {value}")
}

fn lines(formatter: &mut Formatter<'_>, holders: &[Holder]) -> fmt::Result {
    holders.iter().try_for_each(|holder| row(formatter, "", format_args!("held by {holder}")))
}

impl Display for Holder {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { thread, thread_id, holds_by, method, age_ms } = self;
        match holds_by.as_str() {
            "thread" => write!(formatter, "its own thread `{thread}` ({thread_id})")?,
            _ => write!(formatter, "thread `{thread}` ({thread_id})")?,
        }
        if let Some(method) = method {
            write!(formatter, " in `{method}`")?;
        }
        if holds_by == "destructors" {
            write!(formatter, ", which hasn't called since,")?;
        }
        write!(formatter, " for {age_ms} ms")
    }
}

impl Display for Swap {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { from, to, stages_us } = self;
        let from = from.as_deref().unwrap_or("none");
        write!(formatter, "{from} -> {to} in {} ms", milliseconds(stages_us.values().sum()))?;
        let stages = stages_us.iter().map(|(stage, &took)| format!("{stage} {}", milliseconds(took)));
        let stages: Vec<_> = stages.collect();
        if stages.is_empty() { Ok(()) } else { write!(formatter, " ({})", stages.join(", ")) }
    }
}

/// As many decimals as it takes to tell a short step from none.
fn milliseconds(microseconds: u64) -> String {
    let decimals = match microseconds {
        100.. => 1,
        10.. => 2,
        _ => 3,
    };
    format!("{:.decimals$}", microseconds as f64 / 1000.0)
}

/// In the largest unit of which there is one.
fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match UNITS.iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << bits) as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_told_in_one_line() {
        let told = |answer| serde_json::from_str::<PushOutcome>(answer).unwrap().to_string();
        assert_eq!(
            told(
                r#"{"published": {"module": "logic", "from": "1001", "to": "1002", "committed": "1001",
                    "stages_us": {"accept": 400, "verify": 200, "load": 1130, "publish": 20, "later": 3}}}"#
            ),
            "logic 1001 -> 1002 in 1.8 ms (accept 0.4, verify 0.2, load 1.1, publish 0.02, later 0.003); \
             1001 was on probation and is committed early"
        );
        assert_eq!(
            told(r#"{"published": {"module": "logic", "from": null, "to": "1.4.0", "stages_us": {}}}"#),
            "logic none -> 1.4.0 in 0.000 ms"
        );
        assert_eq!(
            told(r#"{"unchanged": {"module": "logic", "version": "1002"}}"#),
            "unchanged: logic 1002 is active already"
        );
    }

    #[test]
    fn a_status_names_every_holder() {
        let status: Status = serde_json::from_str(
            r#"{"modules": [
                {"name": "logic", "phase": "probation", "later": true,
                 "active": {"slot": "B", "version": "1002", "state_schema": 1, "in_flight": 1,
                            "holders": [{"thread": "worker", "thread_id": 7, "holds_by": "call", "method": null,
                                         "age_ms": 0}], "live_bytes": 1023},
                 "standby": null,
                 "retired": [
                    {"version": "1000", "state": "draining",
                     "holders": [{"thread": "main", "thread_id": 6, "holds_by": "call", "method": "slow",
                                  "age_ms": 1200}]},
                    {"version": "999", "state": "retained", "reason": "threads still hold it", "live_bytes": 1048576,
                     "holders": [{"thread": "pool", "thread_id": 8, "holds_by": "destructors", "method": null,
                                  "age_ms": 30},
                                 {"thread": "timer", "thread_id": 9, "holds_by": "thread", "method": null,
                                  "age_ms": 40}]},
                    {"version": "998", "state": "unmapped", "holders": [], "live_bytes": 1228}],
                 "swaps": {"committed": 1, "rolled_back": 0, "refused": 2},
                 "last_swap": {"from": "1001", "to": "1002", "stages_us": {"publish": 20}}},
                {"name": "chat", "phase": "empty", "active": null, "standby": null, "retired": [],
                 "swaps": {"committed": 0, "rolled_back": 0, "refused": 0}, "last_swap": null}]}"#,
        )
        .unwrap();
        let expected = "\
logic: probation
  active     1002       B  schema 1  1 in flight  1023 bytes live
             held by thread `worker` (7) for 0 ms
  standby    -
  retired    1000       draining
             held by thread `main` (6) in `slow` for 1200 ms
  retired    999        retained, 1.0 MiB still live: threads still hold it
             held by thread `pool` (8), which hasn't called since, for 30 ms
             held by its own thread `timer` (9) for 40 ms
  retired    998        unmapped, 1.2 KiB still live
  swaps      1 committed, 0 rolled back, 2 refused
  last swap  1001 -> 1002 in 0.02 ms (publish 0.02)

chat: empty
  active     -
  standby    -
  swaps      0 committed, 0 rolled back, 0 refused
";
        assert_eq!(status.to_string(), expected);
    }
}
