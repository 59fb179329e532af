//! How far a migration of the state is.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

use super::status::Holder;
use super::{count, paused};

/// How many of those who are in the way are named while somebody waits.
const NAMED_MAX: usize = 3;

/// The latest migration of a module's state.
#[derive(Deserialize)]
pub(crate) struct Migration {
    pub(crate) from_schema: u32,
    pub(crate) to_schema: u32,
    pub(crate) stage: Stage,
    /// How many shards this stage goes through.
    pub(crate) shards: u64,
    pub(crate) done: u64,
    attempts: u32,
    /// Who was in the way the last time.
    pub(super) waits_for: Vec<Holder>,
    pause_us: Option<u64>,
    pub(crate) reason: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    Checking,
    HandingOver,
    Sweeping,
    Stuck,
    Done,
    Failed,
    /// One that a later engine has added.
    #[serde(other)]
    Other,
}

impl Migration {
    /// Whether it waits for calls to leave the state.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.stage, Stage::Checking | Stage::HandingOver) && !self.waits_for.is_empty()
    }

    /// What it is doing, and nothing of how far that is.
    pub(crate) fn doing(&self) -> String {
        if self.waits() {
            let tries = count(self.attempts.into(), "try", "tries");
            return format!(
                "waiting for a moment without a call in the state: {}, {tries} so far",
                self.in_the_way()
            );
        }
        match self.stage {
            Stage::Checking => "checking",
            Stage::HandingOver => "handing over",
            Stage::Sweeping => "sweeping",
            Stage::Stuck => "stuck",
            Stage::Done => "done",
            Stage::Failed => "failed",
            Stage::Other => "under way",
        }
        .to_owned()
    }

    fn in_the_way(&self) -> String {
        let named = self.waits_for.iter().take(NAMED_MAX).map(|holder| format!("held by {holder}"));
        let mut named: Vec<_> = named.collect();
        if self.waits_for.len() > NAMED_MAX {
            named.push(format!("and {} more", self.waits_for.len() - NAMED_MAX));
        }
        named.join(", ")
    }

    /// How far the stage is, if it goes through shards.
    pub(crate) fn percent(&self) -> Option<u64> {
        let goes_through = matches!(self.stage, Stage::Checking | Stage::Sweeping) && !self.waits();
        let percent = |done: u64| u128::from(done) * 100 / u128::from(self.shards);
        (goes_through && self.shards > 0).then(|| u64::try_from(percent(self.done)).unwrap_or(u64::MAX))
    }
}

impl Display for Migration {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { from_schema, to_schema, stage, shards, done, attempts, pause_us, reason, .. } = self;
        write!(formatter, "schema {from_schema} -> {to_schema}  ")?;
        let all = count(*shards, "shard", "shards");
        match (stage, self.percent()) {
            // Those who are in the way have lines of their own.
            _ if self.waits() => {
                let tries = count((*attempts).into(), "try", "tries");
                write!(formatter, "waiting for a moment without a call in the state, {tries} so far")?;
            }
            (Stage::Done, _) => write!(formatter, "done, {all}")?,
            (Stage::Stuck, _) => write!(formatter, "stuck after {done} of {all}")?,
            (_, Some(percent)) => write!(formatter, "{} {percent} % ({done} of {all})", self.doing())?,
            (_, None) => formatter.write_str(&self.doing())?,
        }
        if let Some(pause_us) = pause_us {
            write!(formatter, ", {}", paused(*pause_us, *attempts))?;
        }
        match reason {
            Some(reason) => write!(formatter, ": {reason}"),
            None => Ok(()),
        }
    }
}
