//! From what became of a command to an entry of the audit log.

use sha2::{Digest as _, Sha256};

use super::super::{Asker, PushRequest, Recovery};
use super::{Action, Audit, Entry, Outcome};
use crate::candidate::VersionNumber;
use crate::engine::{Published, PushOutcome};
use crate::error::{
    CommitError, InstanceError, LifecycleError, PushError, RecoverError, ReloadError, RollbackError,
    SetPushError, TakeError,
};
use crate::lifecycle::Order;
use crate::status::SnapshotTaken;

/// What becomes known of a push while it is taken in.
pub(in crate::control) struct PushRecord {
    /// Hashing a library takes a good part of a push, so it's done only if it is written down.
    is_kept: bool,
    sha256: Option<String>,
    /// As its file's name says, until the manifest does.
    pub(in crate::control) module: Option<String>,
    pub(in crate::control) version: Option<VersionNumber>,
}

impl PushRecord {
    pub(super) fn new(is_kept: bool) -> Self {
        Self { is_kept, sha256: None, module: None, version: None }
    }

    /// Takes note of the bytes that were pushed. The engine's own digest tells contents apart, but whoever wants to can
    /// make two contents that have the same one; this one is proof.
    pub(in crate::control) fn see(&mut self, content: &[u8]) {
        self.sha256 = self.is_kept.then(|| format!("{:x}", Sha256::digest(content)));
    }
}

impl Audit {
    /// Nothing is written of what a watched folder offers once more: what became of it is in the log already.
    pub(in crate::control) fn pushed(
        &self,
        request: &PushRequest,
        record: &PushRecord,
        outcome: &Result<Option<PushOutcome>, PushError>,
    ) {
        let told = match outcome {
            Ok(None) => return,
            Ok(Some(PushOutcome::Published(_) | PushOutcome::Set(_))) => Outcome::Published,
            Ok(Some(PushOutcome::Unchanged { .. })) => Outcome::Unchanged,
            Ok(Some(PushOutcome::Waiting { .. })) => Outcome::Waiting,
            Err(error) => Outcome::refused(error.code(), error),
        };
        let (module, version) = match outcome {
            Ok(Some(
                PushOutcome::Unchanged { module, version } | PushOutcome::Waiting { module, version },
            )) => (Some(module), Some(version)),
            _ => (record.module.as_ref(), record.version.as_ref()),
        };
        let candidate = request.candidate.name();
        self.note(&Entry {
            candidate: Some(&candidate),
            version: version.map(ToString::to_string),
            sha256: record.sha256.as_deref(),
            allowed: request.allowed,
            ..Entry::new(&request.asker, Action::Push, module.map(String::as_str), told)
        });
    }

    /// A candidate of a set that was refused.
    pub(in crate::control) fn set_refused(
        &self,
        request: &PushRequest,
        record: &PushRecord,
        error: &SetPushError,
    ) {
        let candidate = request.candidate.name();
        let told = Outcome::refused(error.code(), error);
        self.note(&Entry {
            candidate: Some(&candidate),
            version: record.version.as_ref().map(ToString::to_string),
            sha256: record.sha256.as_deref(),
            allowed: request.allowed,
            ..Entry::new(&request.asker, Action::Push, record.module.as_deref(), told)
        });
    }

    pub(in crate::control) fn rolled_back(
        &self,
        asker: &Asker,
        module: &str,
        outcome: &Result<Published, RollbackError>,
    ) {
        let told = match outcome {
            Ok(_) => Outcome::RolledBack,
            Err(error) => Outcome::refused(error.code(), error),
        };
        let version = outcome.as_ref().ok().map(|published| published.swap.to.to_string());
        self.note(&Entry { version, ..Entry::new(asker, Action::Rollback, Some(module), told) });
    }

    /// A process begins with the version that had taken over in the one before.
    pub(in crate::control) fn returned(
        &self,
        asker: &Asker,
        module: &str,
        version: &VersionNumber,
        outcome: &Result<Published, PushError>,
    ) {
        let told = match outcome {
            Ok(_) => Outcome::Published,
            Err(error) => Outcome::refused(error.code(), error),
        };
        let version = Some(version.to_string());
        self.note(&Entry { version, ..Entry::new(asker, Action::Push, Some(module), told) });
    }

    pub(in crate::control) fn committed(
        &self,
        asker: &Asker,
        module: &str,
        outcome: &Result<VersionNumber, CommitError>,
    ) {
        let told = match outcome {
            Ok(_) => Outcome::Committed,
            Err(error) => Outcome::refused(error.code(), error),
        };
        let version = outcome.as_ref().ok().map(ToString::to_string);
        self.note(&Entry { version, ..Entry::new(asker, Action::Commit, Some(module), told) });
    }

    pub(in crate::control) fn snapshot_taken(
        &self,
        asker: &Asker,
        module: &str,
        outcome: &Result<SnapshotTaken, TakeError>,
    ) {
        let told = match outcome {
            Ok(_) => Outcome::Taken,
            Err(error) => Outcome::refused(error.code(), error),
        };
        self.note(&Entry::new(asker, Action::Snapshot, Some(module), told));
    }

    pub(in crate::control) fn reloaded(&self, asker: &Asker, outcome: &Result<Vec<String>, ReloadError>) {
        let told = match outcome {
            Ok(_) => Outcome::Reloaded,
            Err(error) => Outcome::refused(error.code(), error),
        };
        self.note(&Entry::new(asker, Action::Reload, None, told));
    }

    pub(in crate::control) fn recovered(
        &self,
        asker: &Asker,
        module: &str,
        how: Recovery,
        outcome: &Result<(), RecoverError>,
    ) {
        let (action, done) = match how {
            Recovery::Restore => (Action::Restore, Outcome::Restored),
            Recovery::Trust => (Action::Trust, Outcome::Trusted),
        };
        let told = match outcome {
            Ok(()) => done,
            Err(error) => Outcome::refused(error.code(), error),
        };
        self.note(&Entry::new(asker, action, Some(module), told));
    }

    pub(in crate::control) fn instance_made(
        &self,
        asker: &Asker,
        instance: &str,
        outcome: &Result<(), InstanceError>,
    ) {
        self.instance(asker, Action::Create, instance, Outcome::Created, outcome);
    }

    pub(in crate::control) fn instance_destroyed(
        &self,
        asker: &Asker,
        instance: &str,
        outcome: &Result<(), InstanceError>,
    ) {
        self.instance(asker, Action::Destroy, instance, Outcome::Destroyed, outcome);
    }

    fn instance(
        &self,
        asker: &Asker,
        action: Action,
        instance: &str,
        done: Outcome,
        outcome: &Result<(), InstanceError>,
    ) {
        let told = match outcome {
            Ok(()) => done,
            Err(error) => Outcome::refused(error.code(), error),
        };
        self.note(&Entry::new(asker, action, Some(instance), told));
    }

    /// A module, or all of them if there is none, were to be initialized, started or stopped.
    pub(in crate::control) fn lived(
        &self,
        asker: &Asker,
        module: Option<&str>,
        order: Order,
        outcome: &Result<(), LifecycleError>,
    ) {
        let (action, done) = match order {
            Order::Initialize => (Action::Initialize, Outcome::Initialized),
            Order::Start => (Action::Start, Outcome::Started),
            Order::Stop => (Action::Stop, Outcome::Stopped),
        };
        let told = match outcome {
            Ok(()) => done,
            Err(error) => Outcome::refused(error.code(), error),
        };
        self.note(&Entry::new(asker, action, module, told));
    }
}
