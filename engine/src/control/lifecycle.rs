//! The lives of all modules: carries out what [`lifecycle`](crate::lifecycle) plans.
//!
//! What goes by itself: a first version is initialized when it's pushed, if what its module requires is; when a push, or a
//! look through the watched folders, has come to its end, what can be started is. What a watched folder offers too early
//! is looked at again once another module has its first version.
//!
//! What is built into the host, or was left by an earlier process, is a first version like another.
//!
//! By hand, a first version waits: it's accepted and read, and its module takes it when the host says so. If that fails, it
//! waits on.

use std::time::Instant;

use super::intake::stage;
use super::mailbox::Allowed;
use super::reaper::deadline_in;
use super::staged::Staged;
use super::thread::Worker;
use crate::candidate::Digest;
use crate::candidate::accept::Source;
use crate::candidate::private::PrivateCopy;
use crate::engine::PushOutcome;
use crate::error::{LifecycleError, NoResult, PushError};
use crate::lifecycle::graph::{Graph, move_up};
use crate::lifecycle::plan::{Lives, OutOfOrder};
use crate::lifecycle::{LifecyclePhase, Order};
use crate::status::Stages;
use crate::tell::tell;

/// What the host has said of the modules' lives.
pub(crate) struct LifecycleSettings {
    /// In the order of the declarations.
    pub(crate) graph: Graph,
    pub(crate) starts_by_hand: bool,
}

/// What the control thread knows of that, beside each module's phase.
pub(super) struct Lifecycle {
    lives: Lives,
    starts_by_hand: bool,
    /// A module whose first version is taken now, by hand.
    taking: Option<usize>,
    waiting: Vec<Waiting>,
    /// What a watched folder has offered was refused because a module that it requires wasn't there.
    was_too_early: bool,
    /// The modules that haven't looked yet what an earlier process has left for them.
    to_return: Vec<usize>,
    /// The watched folders are to be looked through again.
    pub(super) is_look_due: bool,
}

/// A first version whose module waits to be initialized.
struct Waiting {
    module: usize,
    staged: Staged,
    stages: Stages,
    /// It was tried before, in vain.
    has_failed: bool,
}

impl Lifecycle {
    /// `graph` is of the modules in the control thread's order, which has what is required first.
    pub(super) fn new(graph: Graph, modules: usize, starts_by_hand: bool) -> Self {
        Self {
            lives: Lives::new(graph),
            starts_by_hand,
            taking: None,
            waiting: Vec::new(),
            was_too_early: false,
            to_return: (0..modules).collect(),
            is_look_due: false,
        }
    }

    /// A module that no other requires is gone. Those behind it move up.
    pub(super) fn remove(&mut self, module: usize) {
        self.lives.remove(module);
        move_up(&mut self.to_return, module);
        self.waiting.retain(|waiting| waiting.module != module);
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.module > module) {
            waiting.module -= 1;
        }
    }
}

impl Worker {
    fn phases(&self) -> Vec<LifecyclePhase> {
        self.modules.iter().map(|module| module.lifecycle()).collect()
    }

    fn name(&self, module: usize) -> String {
        self.modules[module].name().to_owned()
    }

    fn out_of_order(&self, OutOfOrder { module, found, expected }: OutOfOrder) -> LifecycleError {
        LifecycleError::OutOfOrder { module: self.name(module), found, expected }
    }

    /// Whether a first version of a module may be initialized now, or together with first versions of others.
    fn has_what_it_requires(&self, module: usize, others: &[usize]) -> Result<(), LifecycleError> {
        let phases = self.phases();
        let mut missing = self.lifecycle.lives.missing(module, &phases);
        missing.retain(|required| !others.contains(required));
        let name = self.name(module);
        if let Some(stopped) = missing.iter().find(|required| phases[**required] == LifecyclePhase::Stopped) {
            return Err(LifecycleError::DependencyStopped { module: name, stopped: self.name(*stopped) });
        }
        let missing: Vec<_> = missing.into_iter().map(|module| format!("`{}`", self.name(module))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(LifecycleError::MissingDependencies { module: name, missing: missing.join(", ") })
    }

    /// Whether a candidate may be its module's version together with candidates of others: first versions that require
    /// each other may come as one.
    pub(super) fn may_come_with(&self, module: usize, others: &[usize]) -> Result<(), LifecycleError> {
        if self.modules[module].lifecycle() != LifecyclePhase::Registered {
            return Ok(());
        }
        self.has_what_it_requires(module, others)
    }

    /// A candidate was read: its module takes it, or it waits.
    pub(super) fn give(
        &mut self,
        module: usize,
        staged: Staged,
        stages: Stages,
        is_asked_for: bool,
    ) -> Result<PushOutcome, PushError> {
        if self.modules[module].lifecycle() != LifecyclePhase::Registered {
            return self.push_member(module, staged, stages).map(PushOutcome::Published);
        }
        if self.is_to_wait(module) {
            return Ok(self.keep_waiting(module, staged, stages, is_asked_for));
        }
        if let Err(error) = self.has_what_it_requires(module, &[]) {
            self.modules[module].note_not_further(&error);
            let may_come = matches!(error, LifecycleError::MissingDependencies { .. });
            self.lifecycle.was_too_early |= may_come && !is_asked_for;
            return Err(error.into());
        }
        let published = self.modules[module].push(staged, stages, &self.settings)?;
        self.note_initialized();
        Ok(PushOutcome::Published(published))
    }

    /// Whether a candidate would be its module's first version, and the host hasn't asked for that yet.
    pub(super) fn is_to_wait(&self, module: usize) -> bool {
        let is_first = self.modules[module].lifecycle() == LifecyclePhase::Registered;
        is_first && self.lifecycle.starts_by_hand && self.lifecycle.taking != Some(module)
    }

    /// Keeps a first version for later. Of those that a watched folder offers, the newest; which one that is.
    pub(super) fn keep_waiting(
        &mut self,
        module: usize,
        staged: Staged,
        stages: Stages,
        is_asked_for: bool,
    ) -> PushOutcome {
        let (name, version) = (staged.module().to_owned(), staged.readable.version.clone());
        let waiting = &mut self.lifecycle.waiting;
        if let Some(known) = waiting.iter().position(|waiting| waiting.module == module) {
            let newest = &waiting[known].staged.readable.version;
            let is_as_good = *newest == version && !waiting[known].has_failed;
            if !is_asked_for && (*newest > version || is_as_good) {
                return PushOutcome::Waiting { module: name, version: newest.clone() };
            }
            waiting.remove(known);
        }
        waiting.push(Waiting { module, staged, stages, has_failed: false });
        tell(|| tracing::info!(module = name, %version, "waits to be initialized"));
        PushOutcome::Waiting { module: name, version }
    }

    /// Whether this very content waits already: to the watched folders, it's no news.
    pub(super) fn is_waiting(&self, content: Digest) -> bool {
        self.lifecycle.waiting.iter().any(|waiting| waiting.staged.digest() == content)
    }

    /// A module has its first version: those that require it may get theirs.
    pub(super) fn note_initialized(&mut self) {
        self.note_begun();
        self.return_to_recorded();
    }

    /// The process begins: has each module that an earlier one has left a version for begin with that, once it may.
    pub(super) fn return_to_recorded(&mut self) {
        if self.lifecycle.starts_by_hand {
            return;
        }
        // What is required comes before what requires it.
        for module in std::mem::take(&mut self.lifecycle.to_return) {
            if self.has_what_it_requires(module, &[]).is_ok() {
                // An instance may have begun with its siblings.
                if self.modules[module].is_empty() {
                    self.begin(module);
                }
            } else {
                self.lifecycle.to_return.push(module);
            }
        }
    }

    /// Has a module begin with what is there for it: the version that an earlier process has left for it, the one that is
    /// built into the host, or the one that its siblings have.
    fn begin(&mut self, module: usize) {
        self.modules[module].return_to_recorded(&self.settings);
        self.modules[module].begin_with_built_in(&self.settings);
        if let Err(error) = self.begin_as_instance(module) {
            let (module, code) = (self.name(module), error.code());
            tell(|| tracing::error!(module, code, "can't begin with its factory's version: {error}"));
        }
    }

    /// A module has joined the others while the engine runs, with its first version. It requires these.
    pub(super) fn note_joined(&mut self, required: Vec<usize>) {
        self.lifecycle.lives.add(required);
        self.note_initialized();
    }

    /// A module has begun: what a folder has offered too early may be welcome.
    pub(super) fn note_begun(&mut self) {
        self.lifecycle.is_look_due |= std::mem::take(&mut self.lifecycle.was_too_early);
    }

    /// The names of the modules that require this one themselves.
    pub(super) fn requiring(&self, module: usize) -> Vec<String> {
        self.lifecycle.lives.requiring(module).map(|other| self.name(other)).collect()
    }

    /// Whether first versions wait for the host to initialize their modules.
    pub(super) fn starts_by_hand(&self) -> bool {
        self.lifecycle.starts_by_hand
    }

    /// Starts a module that has just been made.
    pub(super) fn start_new(&mut self, module: usize) -> Result<(), LifecycleError> {
        self.modules[module].start(&self.settings)?;
        self.lifecycle.lives.note_started(module);
        Ok(())
    }

    /// Stops a module that is closed, if it was started.
    pub(super) fn stop_leaving(
        &mut self,
        module: usize,
        deadline: Option<Instant>,
    ) -> Result<(), LifecycleError> {
        if self.modules[module].lifecycle() != LifecyclePhase::Started {
            return Ok(());
        }
        self.lifecycle.lives.note_stopped(module);
        let patience = self.settings.hooks.deadline();
        self.modules[module].stop_started(&self.settings, deadline, patience)
    }

    /// Starts what can be started, if that goes by itself.
    pub(super) fn start_what_can_be(&mut self) {
        if self.lifecycle.starts_by_hand {
            return;
        }
        loop {
            let startable = self.lifecycle.lives.startable(&self.phases());
            // One that has failed has said so. What requires it waits for its next version, as it does.
            let next = startable.into_iter().find(|module| self.modules[*module].is_to_be_started());
            let Some(module) = next else { return };
            if self.modules[module].start(&self.settings).is_ok() {
                self.lifecycle.lives.note_started(module);
            }
        }
    }

    /// Carries out what the host asks for.
    pub(super) fn live(&mut self, order: Order, name: Option<&str>) -> Result<(), LifecycleError> {
        let what = match order {
            Order::Initialize => "initialized",
            Order::Start => "started",
            Order::Stop => "stopped",
        };
        let whose = name.map_or_else(|| "the modules are".to_owned(), |name| format!("module `{name}` is"));
        self.while_busy(format!("{whose} being {what}"), |thread| {
            let find = |name: &str| thread.modules.iter().position(|module| module.name() == name);
            let unknown = |name: &str| LifecycleError::UnknownModule { module: name.to_owned() };
            let module = name.map(|name| find(name).ok_or_else(|| unknown(name))).transpose()?;
            match order {
                Order::Initialize => thread.initialize(module),
                Order::Start => thread.start(module),
                Order::Stop => thread.stop_started(module),
            }
        })
    }

    fn initialize(&mut self, module: Option<usize>) -> Result<(), LifecycleError> {
        let planned = self.lifecycle.lives.to_initialize(module, &self.phases());
        for module in planned.map_err(|error| self.out_of_order(error))? {
            self.lifecycle.taking = Some(module);
            let outcome = self.initialize_one(module);
            self.lifecycle.taking = None;
            outcome?;
        }
        Ok(())
    }

    fn initialize_one(&mut self, module: usize) -> Result<(), LifecycleError> {
        self.has_what_it_requires(module, &[])?;
        if let Some(place) = self.lifecycle.to_return.iter().position(|other| *other == module) {
            self.lifecycle.to_return.remove(place);
            self.begin(module);
        }
        let begun = self.begin_as_instance(module);
        begun.map_err(|source| LifecycleError::FirstVersion {
            module: self.name(module),
            source: source.into(),
        })?;
        let name = self.name(module);
        let place = self.lifecycle.waiting.iter().position(|waiting| waiting.module == module);
        let waiting = place.map(|place| self.lifecycle.waiting.remove(place));
        let begun = self.modules[module].active_number();
        let newer =
            |waiting: &Waiting| begun.as_ref().is_none_or(|begun| waiting.staged.readable.version > *begun);
        let Some(Waiting { staged, stages, .. }) = waiting.filter(newer) else {
            return if begun.is_some() { Ok(()) } else { Err(LifecycleError::NoVersion { module: name }) };
        };
        let (copy, allowed) = (staged.copy.clone(), staged.allowed);
        let Err(error) = self.give(module, staged, stages, true) else { return Ok(()) };
        self.keep_failed(module, &copy, allowed);
        match error {
            PushError::Lifecycle(error) => Err(error),
            source => Err(LifecycleError::FirstVersion { module: name, source: Box::new(source) }),
        }
    }

    /// Has a first version that was tried in vain wait again: what has failed may have been the host's fault.
    fn keep_failed(&mut self, module: usize, copy: &PrivateCopy, allowed: Allowed) {
        match stage(&self.settings, Source::Kept(copy), None, allowed) {
            Ok((staged, stages)) => {
                self.lifecycle.waiting.push(Waiting { module, staged, stages, has_failed: true });
            }
            Err(error) => {
                let (module, code) = (self.name(module), error.code());
                tell(|| tracing::warn!(module, code, "what has failed isn't kept for another try: {error}"));
            }
        }
    }

    fn start(&mut self, module: Option<usize>) -> Result<(), LifecycleError> {
        let before = self.lifecycle.lives.count_started();
        let planned = self.lifecycle.lives.to_start(module, &self.phases());
        for module in planned.map_err(|error| self.out_of_order(error))? {
            if let Err(error) = self.modules[module].start(&self.settings) {
                // What fails meanwhile is logged. What was asked for has failed for another reason.
                for since in self.lifecycle.lives.started_since(before) {
                    self.modules[since].take_back_start(&self.settings);
                    self.lifecycle.lives.note_stopped(since);
                }
                return Err(error);
            }
            self.lifecycle.lives.note_started(module);
        }
        Ok(())
    }

    fn stop_started(&mut self, module: Option<usize>) -> Result<(), LifecycleError> {
        let planned = self.lifecycle.lives.to_stop(module, &self.phases());
        let planned = planned.map_err(|error| self.out_of_order(error))?;
        let mut failures = self.stop_for_good(planned);
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(LifecycleError::Several { failures }),
        }
    }

    /// The engine ends: stops all that has started, in the reverse order. What fails is logged.
    pub(super) fn stop_all_started(&mut self, deadline: Option<Instant>) {
        self.lifecycle.waiting.clear();
        let started = self.lifecycle.lives.started_since(0);
        self.stop_these(started, deadline);
    }

    /// Stops modules while the engine goes on. Nobody calls their versions any more, so there is nothing to watch.
    fn stop_for_good(&mut self, modules: Vec<usize>) -> Vec<LifecycleError> {
        let failures = self.stop_these(modules.clone(), deadline_in(self.settings.drain_deadline));
        for module in modules {
            self.modules[module].end_probation();
        }
        failures
    }

    /// Stops modules, one after the other, whatever becomes of each; what has failed.
    ///
    /// They have one deadline: calls that stay for ever hold up the end no longer than once. Each hook that hangs halves the
    /// time that those after it have, so together they hold it up no longer than twice the hooks' deadline.
    fn stop_these(&mut self, modules: Vec<usize>, deadline: Option<Instant>) -> Vec<LifecycleError> {
        let (mut failures, mut patience) = (Vec::new(), self.settings.hooks.deadline());
        for module in modules {
            let outcome = self.modules[module].stop_started(&self.settings, deadline, patience);
            if matches!(&outcome, Err(LifecycleError::NoResult { source: NoResult::Hung { .. }, .. })) {
                patience /= 2;
            }
            failures.extend(outcome.err());
            self.lifecycle.lives.note_stopped(module);
        }
        failures
    }
}
