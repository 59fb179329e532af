//! What the engine answers, and how it is told to people.
//!
//! The types are the counterparts of those that the engine serializes. Fields of a later engine are passed
//! over, and stages it adds are shown as they come.
//!
//! This module has the answers to commands, with [`rehearsal`] as a part of a push's, [`status`] what `GET /status`
//! answers, with [`migration`], [`snapshots`] and [`work`] as parts of it, and [`probation`]; [`registry`] is what
//! `GET /registry` answers.

mod migration;
mod probation;
mod registry;
mod rehearsal;
mod snapshots;
mod status;
#[cfg(test)]
mod tests;
mod work;

use std::fmt::{self, Display, Formatter};

use indexmap::IndexMap;
use serde::Deserialize;

pub(crate) use migration::{Migration, Stage};
pub(crate) use registry::Registry;
use rehearsal::Rehearsed;
pub(crate) use snapshots::Taken;
pub(crate) use status::Status;

/// How a push ended.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PushOutcome {
    Published(Published),
    /// All instances of a factory.
    Set(SetPushed),
    Unchanged {
        module: String,
        version: String,
    },
    Waiting {
        module: String,
        version: String,
    },
}

/// How a push ended of which each candidate has an outcome: a set's, or a single one.
#[derive(Deserialize)]
pub(crate) struct SetPushed {
    members: Vec<PushOutcome>,
}

/// A publish that has just happened.
#[derive(Deserialize)]
pub(crate) struct Published {
    pub(crate) module: String,
    #[serde(flatten)]
    swap: Swap,
    committed: Option<String>,
    pub(crate) migrated: Option<Box<Migrated>>,
    rehearsal: Option<Box<Rehearsed>>,
    /// The set that was swapped with it as one.
    set: Option<String>,
}

/// What became of the state in it.
#[derive(Deserialize)]
pub(crate) struct Migrated {
    pub(crate) from_schema: u32,
    pub(crate) to_schema: u32,
    attempts: u32,
    pause_us: u64,
    shards: u64,
}

/// A commit that has just happened.
#[derive(Deserialize)]
pub(crate) struct Committed {
    module: String,
    version: String,
}

/// A snapshot has just taken the state's place.
#[derive(Deserialize)]
pub(crate) struct Restored {
    module: String,
    path: Option<String>,
}

/// A state has just been trusted.
#[derive(Deserialize)]
pub(crate) struct Trusted {
    module: String,
}

#[derive(Deserialize)]
struct Swap {
    from: Option<String>,
    to: String,
    /// In the engine's order, which is that of the steps.
    stages_us: IndexMap<String, u64>,
    /// The veto that was overridden.
    forced: Option<String>,
}

impl SetPushed {
    pub(crate) fn of_one(outcome: PushOutcome) -> Self {
        Self { members: vec![outcome] }
    }

    /// The publishes that there were.
    pub(crate) fn published(&self) -> Vec<&Published> {
        self.members.iter().flat_map(PushOutcome::published).collect()
    }
}

impl Display for SetPushed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            member.fmt(formatter)?;
        }
        Ok(())
    }
}

impl PushOutcome {
    /// The publishes that there were.
    fn published(&self) -> Vec<&Published> {
        match self {
            Self::Published(published) => vec![published],
            Self::Set(pushed) => pushed.published(),
            Self::Unchanged { .. } | Self::Waiting { .. } => Vec::new(),
        }
    }
}

impl Published {
    /// The version that serves since.
    pub(crate) fn version(&self) -> &str {
        &self.swap.to
    }
}

impl Display for PushOutcome {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published(published) => published.fmt(formatter),
            Self::Set(pushed) => pushed.fmt(formatter),
            Self::Unchanged { module, version } => {
                write!(formatter, "unchanged: {module} {version} is active already")
            }
            Self::Waiting { module, version } => {
                write!(
                    formatter,
                    "waiting: {module} {version} serves once the host has initialized its module, or created an instance"
                )
            }
        }
    }
}

impl Display for Published {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { module, swap, committed, migrated, rehearsal, set } = self;
        write!(formatter, "{module} {swap}")?;
        if let Some(set) = set {
            write!(formatter, "; as one with set {set}")?;
        }
        if let Some(rehearsal) = rehearsal {
            write!(formatter, "; {rehearsal}")?;
        }
        if let Some(migrated) = migrated {
            write!(formatter, "; {migrated}")?;
        }
        match committed {
            Some(version) => write!(formatter, "; {version} was on probation and is committed early"),
            None => Ok(()),
        }
    }
}

impl Display for Migrated {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { from_schema, to_schema, attempts, pause_us, shards } = self;
        let (paused, shards) = (paused(*pause_us, *attempts), count(*shards, "shard", "shards"));
        write!(formatter, "schema {from_schema} -> {to_schema}, {paused}, {shards}")
    }
}

impl Display for Committed {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} is committed", self.module, self.version)
    }
}

impl Display for Restored {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { module, path } = self;
        let from = path.as_deref().unwrap_or("its last snapshot");
        write!(formatter, "the state of {module} is restored from {from}")
    }
}

impl Display for Trusted {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "the state of {} is trusted as it is", self.module)
    }
}

impl Display for Swap {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { from, to, stages_us, forced } = self;
        let from = from.as_deref().unwrap_or("none");
        write!(formatter, "{from} -> {to} in {} ms", milliseconds(stages_us.values().sum()))?;
        let stages = stages_us.iter().map(|(stage, &took)| {
            // `hand_over` is a name for programs.
            format!("{} {}", stage.replace('_', " "), milliseconds(took))
        });
        let stages: Vec<_> = stages.collect();
        if !stages.is_empty() {
            write!(formatter, " ({})", stages.join(", "))?;
        }
        match forced {
            Some(veto) => write!(formatter, ", forced: {veto}"),
            None => Ok(()),
        }
    }
}

/// For how long calls were held up, and how often that was tried.
fn paused(pause_us: u64, attempts: u32) -> String {
    let tries = count(attempts.into(), "try", "tries");
    format!("paused {} ms after {tries}", milliseconds(pause_us))
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
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
