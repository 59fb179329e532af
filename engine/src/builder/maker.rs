//! Making a module of its declaration: before the engine starts, and while it runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use liveswap_state::{BuiltIn, Options, SharedOptions};

use super::pools::Pools;
use super::probation::Policies;
use super::snapshots::SnapshotSettings;
use super::{Declaration, built_in, sets};
use crate::call::suspicion::SuspectPolicy;
use crate::call::{Bell, CallPath};
use crate::control::{Module, Oversight, Reaper, Services};
use crate::error::BuildError;
use crate::modules::{Declared, Modules};
use crate::probation::record::Record;
use crate::rehearsal::Rehearsal;
use crate::spawn::Jobs;
use crate::status::Board;

/// What a module needs beside its declaration.
pub(crate) struct Maker {
    pub(super) bell: Arc<Bell>,
    pub(super) reaper: Arc<Reaper>,
    pub(super) jobs: Arc<Jobs>,
    /// The list that the modules come onto, and reach each other by.
    pub(crate) modules: Arc<Modules>,
    pub(super) suspect_policy: SuspectPolicy,
    pub(super) snapshots: Option<SnapshotSettings>,
    pub(super) policies: Policies,
    pub(super) pools: Pools,
    pub(super) built_ins: Vec<BuiltIn>,
    pub(super) sets: Vec<sets::Made>,
    /// The folder of the records of probations, if it lasts.
    pub(super) records: Option<PathBuf>,
    pub(super) rehearsal: Option<Rehearsal>,
}

impl Maker {
    /// Makes a module with these options: what everybody sees of it, and what the control thread works on.
    pub(crate) fn make(
        &self,
        declaration: &Declaration,
        options: Options,
    ) -> Result<(Declared, Module), BuildError> {
        let Declaration { name, interface, interface_type, methods, spawner, .. } = declaration;
        let path = CallPath::new(name.clone(), methods, self.bell.clone(), self.suspect_policy);
        let path = Arc::new(match sets::membership(&self.sets, name) {
            Some(membership) => path.of_set(membership),
            None => path,
        });
        let snapshots = self.open_snapshots(name)?;
        // From here on nothing fails any more, which would leave the module among those that work.
        let work = self.jobs.add_module(name, self.pools.of(name));
        let board = Arc::new(Mutex::new(Board { phase: "empty", ..Board::default() }));
        let spawner = spawner(path.clone(), work.clone());
        let record = self.records.as_ref().map(|folder| Record::open(folder, name));
        let oversight = Oversight::new(self.policies.of(name), record);
        let options = Arc::new(SharedOptions::new(options));
        let services = Services { spawner, modules: self.modules.clone(), options };
        let (reaper, shown) = (self.reaper.clone(), board.clone());
        let module = Module::new(path.clone(), interface, shown, reaper, services, snapshots, oversight);
        let module = module.recording(self.rehearsal.as_ref()).working(work.clone());
        let module = module.with_built_in(built_in::of(&self.built_ins, name));
        let (interface, interface_type) = (*interface, *interface_type);
        Ok((Declared { path, board, interface, interface_type, work }, module))
    }
}
