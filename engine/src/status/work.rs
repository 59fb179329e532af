//! What the status shows of a module's work in the background.

use serde::Serialize;

/// A module's work in the background: spawned calls, timers and ticks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WorkStatus {
    /// Whether the module has a [pool](crate::Builder::pool) of its own. If not, the two bounds below are those of all modules
    /// together that have none.
    pub has_own_pool: bool,
    /// How many calls may run at once.
    pub running_max: usize,
    /// How many may wait in each lane.
    pub waiting_max: usize,
    /// What runs and waits.
    pub lanes: LanesStatus,
    /// How many calls and timers were refused, since the engine started.
    pub refused: u64,
    /// How many timers are set and haven't begun.
    pub timers: usize,
    /// How many there may be.
    pub timers_max: usize,
    /// In the order in which the host has declared them. None any more once the module has stopped.
    pub ticks: Vec<TickStatus>,
}

/// The lanes of a module's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LanesStatus {
    /// What goes first, ticks among it.
    pub high: LaneStatus,
    /// What isn't said to be in another, and timers.
    pub normal: LaneStatus,
    /// What can wait.
    pub low: LaneStatus,
}

/// The module's calls in one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LaneStatus {
    /// How many run.
    pub running: usize,
    /// How many wait.
    pub waiting: usize,
}

/// What became of a [tick](crate::Builder::tick) since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TickStatus {
    /// How often it's due, in milliseconds.
    pub period_ms: u64,
    /// How many times it has begun.
    pub begun: u64,
    /// How many times it has failed.
    pub failed: u64,
    /// How many times it was due and didn't begin, because the one before was still under way, or for want of a thread.
    pub skipped: u64,
}
