//! The status: a block of lines for each module.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

use super::migration::Migration;
use super::probation::{Probation, Verdict};
use super::snapshots::Snapshots;
use super::work::Work;
use super::{Swap, size};

/// All modules of an engine.
#[derive(Deserialize)]
pub(crate) struct Status {
    pub(crate) modules: Vec<Module>,
    #[serde(default)]
    sets: Vec<Set>,
    #[serde(default)]
    faults: Vec<Fault>,
    /// Missing in what engines before say.
    #[serde(default)]
    refused: Vec<Refused>,
    audit: Option<Audit>,
    config: Option<Config>,
}

/// The file that the modules' options are read from.
#[derive(Deserialize)]
struct Config {
    file: String,
    failure: Option<Failure>,
}

/// Why options aren't in force.
#[derive(Deserialize)]
struct Failure {
    message: String,
}

/// What became of a module's options.
#[derive(Default, Deserialize)]
struct Options {
    failure: Option<Failure>,
}

/// What is wrong in a watched folder.
#[derive(Deserialize)]
struct Fault {
    path: String,
    code: String,
    message: String,
}

/// Modules that can be swapped as one.
#[derive(Deserialize)]
struct Set {
    name: String,
    members: Vec<String>,
    /// Those that are one at present.
    together: Vec<String>,
    /// What a factory's next instance begins with.
    candidate: Option<String>,
    swaps: SetSwaps,
}

#[derive(Deserialize)]
struct SetSwaps {
    published: u64,
    rolled_back: u64,
    committed: u64,
    refused: u64,
}

/// What became of the lines of the audit log.
#[derive(Deserialize)]
struct Audit {
    lines: u64,
    failures: u64,
    last_failure: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Module {
    pub(crate) name: String,
    /// The factory that it's an instance of.
    factory: Option<String>,
    pub(crate) phase: String,
    lifecycle: Option<String>,
    lifecycle_failure: Option<String>,
    active: Option<Slot>,
    standby: Option<Slot>,
    retired: Vec<Retired>,
    swaps: Swaps,
    last_swap: Option<Swap>,
    pub(crate) probation: Option<Probation>,
    pub(crate) last_verdict: Option<Verdict>,
    pub(crate) migration: Option<Migration>,
    snapshots: Option<Snapshots>,
    suspect: Option<Suspicion>,
    #[serde(default)]
    options: Options,
    /// None from an engine that doesn't say.
    work: Option<Work>,
}

#[derive(Deserialize)]
struct Slot {
    slot: String,
    version: String,
    state_schema: u32,
    /// Missing in what engines before say.
    #[serde(default)]
    origin: String,
    in_flight: usize,
    holders: Vec<Holder>,
    live_bytes: Option<u64>,
}

/// A candidate of a module that wasn't taken, and that is still in memory.
#[derive(Deserialize)]
struct Refused {
    module: String,
    #[serde(flatten)]
    version: Retired,
}

#[derive(Deserialize)]
struct Retired {
    version: String,
    state: String,
    holders: Vec<Holder>,
    reason: Option<String>,
    live_bytes: Option<u64>,
}

/// A thread or a lease that holds a version, or a thread that is in the state.
#[derive(Deserialize)]
pub(super) struct Holder {
    label: Option<String>,
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
    /// Those that nobody asked for.
    #[serde(default)]
    rolled_back_by_health: u64,
    refused: u64,
}

/// The exclusive call that may have left the state half changed.
#[derive(Deserialize)]
struct Suspicion {
    version: String,
    method: String,
    message: String,
    location: String,
}

impl Module {
    /// The version that calls enter.
    pub(crate) fn active(&self) -> Option<&str> {
        self.active.as_ref().map(|slot| slot.version.as_str())
    }

    /// Whether no swap of it is under way.
    pub(crate) fn is_at_rest(&self) -> bool {
        matches!(self.phase.as_str(), "empty" | "serving" | "probation" | "stopped")
    }
}

impl Display for Status {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (index, module) in self.modules.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "{module}")?;
        }
        for set in &self.sets {
            writeln!(formatter, "\n{set}")?;
        }
        for Refused { module, version } in &self.refused {
            write!(formatter, "\n{module}: not taken\n{version}")?;
        }
        for Fault { path, code, message } in &self.faults {
            writeln!(formatter, "\n{path}: {code}: {message}")?;
        }
        if let Some(audit) = &self.audit {
            writeln!(formatter, "\n{audit}")?;
        }
        match &self.config {
            Some(Config { file, failure: None }) => writeln!(formatter, "\nconfiguration: {file}"),
            Some(Config { file, failure: Some(Failure { message }) }) => {
                writeln!(formatter, "\nconfiguration: {file}: not in force: {message}")
            }
            None => Ok(()),
        }
    }
}

impl Display for Retired {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { version, state, holders, reason, live_bytes } = self;
        let live = live_bytes.map(|bytes| format!(", {} still live", size(bytes))).unwrap_or_default();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        row(formatter, "retired", format_args!("{version:<10} {state}{live}{reason}"))?;
        lines(formatter, holders)
    }
}

impl Display for Set {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, members, together, candidate, swaps } = self;
        match candidate {
            Some(candidate) => write!(formatter, "factory {name} {candidate}: {}", members.join(", "))?,
            None => write!(formatter, "set {name}: {}", members.join(", "))?,
        }
        if !together.is_empty() {
            write!(formatter, "; as one: {}", together.join(", "))?;
        }
        let SetSwaps { published, rolled_back, committed, refused } = swaps;
        write!(
            formatter,
            "\n  {published} published, {committed} committed, {rolled_back} rolled back, {refused} refused"
        )
    }
}

impl Display for Audit {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { lines, failures, last_failure } = self;
        write!(formatter, "audit log: {lines} written, {failures} missing")?;
        match last_failure {
            Some(reason) => write!(formatter, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl Display for Module {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, phase, active, standby, retired, swaps, last_swap, .. } = self;
        let Self { probation, last_verdict, migration, snapshots, suspect, work, .. } = self;
        let Self { factory, lifecycle, lifecycle_failure, .. } = self;
        let factory = factory.as_ref().map(|factory| format!(" of {factory}")).unwrap_or_default();
        writeln!(formatter, "{name}{factory}: {phase}")?;
        if let Some(lifecycle) = lifecycle {
            let failure =
                lifecycle_failure.as_ref().map(|failure| format!(": {failure}")).unwrap_or_default();
            row(formatter, "lifecycle", format_args!("{lifecycle}{failure}"))?;
        }
        for (role, slot) in [("active", active), ("standby", standby)] {
            match slot {
                Some(Slot { slot, version, state_schema, origin, in_flight, holders, live_bytes }) => {
                    let origin = if origin == "built-in" { "  built-in" } else { "" };
                    let live = live_bytes.map(|bytes| format!("  {} live", size(bytes))).unwrap_or_default();
                    let what = format!("{slot}  schema {state_schema}  {in_flight} in flight{live}{origin}");
                    row(formatter, role, format_args!("{version:<10} {what}"))?;
                    lines(formatter, holders)?;
                }
                None => row(formatter, role, "-")?,
            }
        }
        retired.iter().try_for_each(|retired| write!(formatter, "{retired}"))?;
        if let Some(probation) = probation {
            row(formatter, "probation", probation)?;
            probation.methods().try_for_each(|method| row(formatter, "", method))?;
        }
        // What was committed is what's active, and nothing more to say.
        if let Some(verdict) = last_verdict.as_ref().filter(|verdict| verdict.is_rollback()) {
            row(formatter, "verdict", verdict)?;
        }
        if let Some(suspicion) = suspect {
            row(formatter, "suspect", suspicion)?;
        }
        if let Some(Failure { message }) = &self.options.failure {
            row(formatter, "options", format_args!("not in force: {message}"))?;
        }
        if let Some(migration) = migration {
            row(formatter, "migration", migration)?;
            lines(formatter, &migration.waits_for)?;
        }
        if let Some(snapshots) = snapshots {
            for (index, line) in snapshots.lines().iter().enumerate() {
                row(formatter, if index == 0 { "snapshots" } else { "" }, line)?;
            }
        }
        for (index, line) in work.iter().flat_map(Work::lines).enumerate() {
            row(formatter, if index == 0 { "work" } else { "" }, line)?;
        }
        let Swaps { committed, rolled_back, rolled_back_by_health, refused } = swaps;
        let by_health = match rolled_back_by_health {
            0 => String::new(),
            by_health => format!(" ({by_health} by health)"),
        };
        let counts =
            format_args!("{committed} committed, {rolled_back} rolled back{by_health}, {refused} refused");
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

impl Display for Suspicion {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { version, method, message, location } = self;
        write!(
            formatter,
            "`{method}` of {version} panicked and may have left the state half changed: {message} ({location})"
        )
    }
}

impl Display for Holder {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { label, thread, thread_id, holds_by, method, age_ms } = self;
        if let Some(label) = label.as_ref().filter(|_| holds_by != "lease") {
            write!(formatter, "`{label}` on ")?;
        }
        match (holds_by.as_str(), label) {
            ("lease", label) => write!(formatter, "lease `{}`", label.as_deref().unwrap_or_default())?,
            ("thread", _) => write!(formatter, "its own thread `{thread}` ({thread_id})")?,
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
