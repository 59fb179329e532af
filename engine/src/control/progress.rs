//! The progress of a migration: what the control thread and the sweeper write down for whoever asks.

use std::sync::{Arc, Mutex};

use liveswap_state::MethodSpec;

use crate::call::Holding;
use crate::lock::lock;
use crate::status::{MigrationStage, MigrationStatus, describe};

#[derive(Debug)]
pub(crate) struct Progress(Mutex<MigrationStatus>);

impl Progress {
    pub(super) fn new(from_schema: u32, to_schema: u32) -> Arc<Self> {
        let stage = MigrationStage::Checking;
        let status = MigrationStatus {
            from_schema,
            to_schema,
            stage,
            shards: 0,
            done: 0,
            attempts: 0,
            waits_for: Vec::new(),
            pause_us: None,
            reason: None,
        };
        Arc::new(Self(Mutex::new(status)))
    }

    /// What is known at this moment.
    pub(crate) fn status(&self) -> MigrationStatus {
        lock(&self.0).clone()
    }

    /// Begins a stage that goes through so many shards.
    pub(super) fn begin(&self, stage: MigrationStage, shards: usize) {
        let mut status = lock(&self.0);
        (status.stage, status.shards, status.done) = (stage, shards as u64, 0);
        status.waits_for.clear();
        // Those of the check are another matter.
        if stage == MigrationStage::HandingOver {
            status.attempts = 0;
        }
    }

    /// One more shard is done. There may be more of them than in the beginning.
    pub(super) fn step(&self) {
        let mut status = lock(&self.0);
        status.done += 1;
        status.shards = status.shards.max(status.done);
    }

    /// The hand-over was tried once more, and these were in the way.
    pub(super) fn missed(&self, methods: &'static [MethodSpec], holders: Vec<Holding>) {
        let mut status = lock(&self.0);
        status.attempts += 1;
        status.waits_for = describe(methods, holders);
    }

    /// The hand-over has happened, and held calls up for so long.
    pub(super) fn handed_over(&self, pause_us: u64) {
        let mut status = lock(&self.0);
        status.attempts += 1;
        status.pause_us = Some(pause_us);
    }

    pub(super) fn end(&self, stage: MigrationStage, reason: Option<String>) {
        let mut status = lock(&self.0);
        (status.stage, status.reason) = (stage, reason);
        status.waits_for.clear();
    }
}
