//! The control thread: carries out commands, one after the other.
//!
//! Whoever swaps alone needs no lock on what is swapped. So whatever goes on by itself is tended here as well, in
//! between: each module says when it's due, or wakes the thread. When the engine ends, commands that still wait are
//! dropped, which tells whoever waits for an answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, at, never, select};

use super::intake::{Origin, Remembered};
use super::lifecycle::{Lifecycle, LifecycleSettings};
use super::mailbox::{Command, Inbox, Mailbox, Recovery, Reply, Shared};
use super::module::Module;
use super::reaper::{Reaper, deadline_in};
use super::sets::{ModuleSet, SetMembers};
use super::{Asker, Settings};
use crate::call::owed;
use crate::candidate::VersionNumber;
use crate::engine::Published;
use crate::error::{CommitError, RecoverError, RollbackError, TakeError};
use crate::lock::lock;
use crate::probation::Reason;
use crate::spawn::Jobs;
use crate::status::SnapshotTaken;

/// The control thread, and what the engine needs to end it.
pub(crate) struct Control {
    pub(crate) mailbox: Mailbox,
    reaper: Arc<Reaper>,
    jobs: Arc<Jobs>,
    /// Nothing is ever sent: dropping it is the message.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// What there is to control.
pub(crate) struct Controlled {
    pub(crate) modules: Vec<Module>,
    pub(crate) sets: Vec<SetMembers>,
}

impl Control {
    pub(crate) fn start(
        Controlled { modules, sets }: Controlled,
        LifecycleSettings { graph, starts_by_hand }: LifecycleSettings,
        settings: Settings,
        reaper: Arc<Reaper>,
        jobs: Arc<Jobs>,
        running: Sender<Infallible>,
        woken: Receiver<()>,
    ) -> std::io::Result<Self> {
        let (mailbox, inbox) = Mailbox::new();
        for module in &modules {
            listen(module, &settings);
        }
        // What is required comes before what requires it; else they are as they were declared.
        let order = graph.order().expect("a cycle was refused before");
        let mut modules: Vec<_> = modules.into_iter().map(Some).collect();
        let modules: Vec<_> = order.iter().filter_map(|module| modules[*module].take()).collect();
        let lifecycle = Lifecycle::new(graph.reordered(&order), modules.len(), starts_by_hand);
        let sets = sets.into_iter().map(|set| ModuleSet::new(set, &modules)).collect();
        let worker = Worker {
            modules,
            sets,
            lifecycle,
            settings,
            reaper: reaper.clone(),
            jobs: jobs.clone(),
            shared: mailbox.shared.clone(),
            remembered: Remembered::default(),
        };
        let thread = thread::Builder::new()
            .name("liveswap-control".into())
            .spawn(move || worker.run(&inbox, &woken))?;
        Ok(Self { mailbox, reaper, jobs, running: Some(running), thread: Some(thread) })
    }

    /// Ends the modules and the threads. Waits for calls in flight, up to the drain deadline.
    pub(crate) fn stop(&mut self) {
        // The thread that ends the engine waits here, and can't settle anything meanwhile. It may have leases in hand, by
        // which it comes back.
        owed::settle_all();
        drop(self.running.take());
        // A subscriber may drop the engine on one of its own threads, or on one of logic's, which can't wait for
        // itself.
        let is_own_thread = self.mailbox.is_control_thread()
            || self.reaper.is_this_thread()
            || self.jobs.is_this_thread()
            || owed::is_running();
        if let Some(thread) = self.thread.take()
            && !is_own_thread
        {
            // An error says that the thread has panicked, which the panic hook has reported.
            let _ = thread.join();
        }
    }
}

/// Has the thread woken when a state may be half changed.
pub(super) fn listen(module: &Module, settings: &Settings) {
    let wake = settings.wake.clone();
    // If it's full, somebody else has woken the thread.
    module.path.suspicions.listen(move || {
        let _ = wake.try_send(());
    });
}

/// What the thread works on.
pub(super) struct Worker {
    /// What is required comes before what requires it.
    pub(super) modules: Vec<Module>,
    pub(super) sets: Vec<ModuleSet>,
    pub(super) lifecycle: Lifecycle,
    pub(super) settings: Settings,
    pub(super) reaper: Arc<Reaper>,
    jobs: Arc<Jobs>,
    shared: Arc<Shared>,
    pub(super) remembered: Remembered,
}

impl Worker {
    fn run(mut self, Inbox { commands, rescans, reloads, .. }: &Inbox, woken: &Receiver<()>) {
        *lock(&self.shared.control_thread) = Some(thread::current().id());
        let ended = self.settings.ended.clone();
        self.return_to_recorded();
        loop {
            self.tend();
            // A subscriber may have called the engine on this thread.
            owed::settle_own();
            let due = self.modules.iter().filter_map(Module::due).min().map_or_else(never, at);
            select! {
                recv(ended) -> _ => break,
                // Tended before the next wait.
                recv(woken) -> _ => {}
                recv(due) -> _ => {}
                recv(commands) -> command => match command {
                    Ok(command) => self.carry_out(command),
                    Err(_) => break,
                },
                // An error would say that the mailbox is gone, which the commands say too.
                recv(rescans) -> _ => self.rescan(),
                recv(reloads) -> _ => self.reload_by_itself(),
            }
        }
        let deadline = deadline_in(self.settings.drain_deadline);
        // What waits is dropped before it could begin without a version.
        self.jobs.close();
        self.stop_all_started(deadline);
        // All at once, so that no module takes calls while another is waited for.
        self.modules.iter().for_each(Module::close);
        self.jobs.join(deadline);
        for module in self.modules.iter_mut().rev() {
            module.stop(&self.settings, deadline);
        }
        self.reaper.stop(deadline);
        // What is left mapped may still put something out.
        self.settings.output.close();
    }

    /// Looks after what goes on by itself.
    fn tend(&mut self) {
        self.defer_to_sets();
        for module in &mut self.modules {
            module.tend(&self.settings);
        }
        self.tend_sets();
        self.note_withdrawn();
        if std::mem::take(&mut self.lifecycle.is_look_due) {
            self.rescan();
        }
        self.start_what_can_be();
        let mut has_heard_late = false;
        for module in &mut self.modules {
            has_heard_late |= module.has_heard_late();
        }
        if has_heard_late {
            self.reload_by_itself();
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Push(request, reply) => {
                let outcome = self.push(&request, Origin::Asked);
                self.start_what_can_be();
                answer(
                    reply,
                    outcome.map(|pushed| pushed.expect("only what a watched folder offers is passed over")),
                );
            }
            Command::PushSet(set, requests, reply) => {
                let outcome = self.push_set(&set, &requests);
                self.start_what_can_be();
                answer(reply, outcome);
            }
            Command::Rollback(name, asker, reply) => {
                let outcome = self.rollback(&name, &asker);
                answer(reply, outcome);
            }
            Command::Commit(name, asker, reply) => {
                let outcome = self.commit(&name, &asker);
                answer(reply, outcome);
            }
            Command::Snapshot(name, asker, reply) => {
                // It's answered later, when it's on the disk.
                let (audit, module) = (self.settings.audit.clone(), name.clone());
                let note = move |outcome: &_| audit.snapshot_taken(&asker, &module, outcome);
                self.snapshot(&name, reply.noting(note));
            }
            Command::Recover(name, how, asker, reply) => {
                let outcome = self.recover(&name, how);
                self.settings.audit.recovered(&asker, &name, how, &outcome);
                answer(reply, outcome);
            }
            Command::Live(order, name, asker, reply) => {
                let outcome = self.live(order, name.as_deref());
                self.settings.audit.lived(&asker, name.as_deref(), order, &outcome);
                answer(reply, outcome);
            }
            Command::Create(instance, asker, reply) => {
                let outcome = self.create(instance, &asker);
                answer(reply, outcome);
            }
            Command::Destroy(instance, asker, reply) => {
                let outcome = self.destroy(&instance, &asker);
                answer(reply, outcome);
            }
            Command::Reload(asker, reply) => {
                let outcome = self.reload(&asker);
                answer(reply, outcome);
            }
            #[cfg(feature = "watch")]
            Command::Notice(path) => self.notice(path),
            // Dropping the sender tells whoever waits.
            Command::Rescan(_done) => self.rescan(),
        }
    }

    /// Names what is under way for as long as `work` takes.
    pub(super) fn while_busy<R>(&mut self, what: String, work: impl FnOnce(&mut Self) -> R) -> R {
        /// On a panic too: whoever asks must then hear that the engine has stopped, not that it's busy.
        struct Done(Arc<Shared>);

        impl Drop for Done {
            fn drop(&mut self) {
                *lock(&self.0.under_way) = None;
            }
        }

        *lock(&self.shared.under_way) = Some(what);
        let _done = Done(self.shared.clone());
        work(self)
    }

    fn rollback(&mut self, name: &str, asker: &Asker) -> Result<Published, RollbackError> {
        self.while_busy(format!("module `{name}` is being rolled back"), |thread| {
            let factory = thread.factory(name);
            let index = factory.map_or_else(|| thread.position(name), |factory| thread.any_instance(factory));
            let Some(index) = index else {
                if factory.is_some() {
                    let nothing = Err(RollbackError::NoPredecessor { module: name.to_owned() });
                    thread.settings.audit.rolled_back(asker, name, &nothing);
                    return nothing;
                }
                let unknown =
                    Err(RollbackError::UnknownModule { module: name.to_owned(), known: thread.known() });
                thread.settings.audit.rolled_back(asker, name, &unknown);
                return unknown;
            };
            let published = thread.roll_back_member(index, &Reason::ByHand, asker);
            thread.note_withdrawn();
            published
        })
    }

    fn commit(&mut self, name: &str, asker: &Asker) -> Result<VersionNumber, CommitError> {
        self.while_busy(format!("module `{name}` is being committed"), |thread| {
            let factory = thread.factory(name);
            let index = factory.map_or_else(|| thread.position(name), |factory| thread.any_instance(factory));
            let Some(index) = index else {
                if factory.is_some() {
                    let nothing = Err(CommitError::NothingToCommit { module: name.to_owned() });
                    thread.settings.audit.committed(asker, name, &nothing);
                    return nothing;
                }
                let unknown =
                    Err(CommitError::UnknownModule { module: name.to_owned(), known: thread.known() });
                thread.settings.audit.committed(asker, name, &unknown);
                return unknown;
            };
            thread.commit_member(index, asker)
        })
    }

    fn snapshot(&mut self, name: &str, reply: Reply<SnapshotTaken, TakeError>) {
        let known = self.known();
        match self.modules.iter_mut().find(|module| module.name() == name) {
            Some(module) => module.snapshot(reply, &self.settings),
            None => answer(reply, Err(TakeError::UnknownModule { module: name.to_owned(), known })),
        }
    }

    fn recover(&mut self, name: &str, how: Recovery) -> Result<(), RecoverError> {
        self.while_busy(format!("the state of module `{name}` is being recovered"), |thread| {
            let known = thread.known();
            let Some(module) = thread.modules.iter_mut().find(|module| module.name() == name) else {
                return Err(RecoverError::UnknownModule { module: name.to_owned(), known });
            };
            match how {
                Recovery::Restore => module.recover(&thread.settings),
                Recovery::Trust => module.trust(&thread.settings),
            }
        })
    }

    /// The names of all modules.
    pub(super) fn known(&self) -> String {
        self.settings.openings.maker.modules.known()
    }
}

pub(super) fn answer<T, E>(reply: Reply<T, E>, outcome: Result<T, E>) {
    // Whoever asked may have gone; what was done stays done.
    reply.send(outcome);
}

#[cfg(test)]
mod tests {
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use liveswap_state::interface;

    use super::super::Serial;
    use super::*;
    use crate::Engine;
    use crate::call::{Bell, Footprint};

    #[interface]
    #[expect(dead_code, reason = "an interface's trait is never implemented: it names the methods")]
    trait Game {
        fn hit(&mut self);
    }

    static DESTROYED: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "C" fn destroy(_: *mut c_void) {
        DESTROYED.fetch_add(1, Ordering::Relaxed);
    }

    /// Else its next call through a lease would find thread-locals that were destroyed.
    #[test]
    fn the_thread_that_ends_the_engine_still_owes_to_what_it_may_come_back_to() {
        let engine = Engine::builder().module::<dyn Game>("logic").build().unwrap();
        // Nobody says where its library is. So threads can't be made new to it.
        let footprint = Footprint::new(Serial::fresh().0, Arc::new(Bell::new()));
        // SAFETY: the destructor doesn't look at what it's given.
        unsafe { owed::record(&footprint, destroy, ptr::null_mut()) };
        footprint.retire();
        drop(engine);
        assert_eq!(DESTROYED.load(Ordering::Relaxed), 0);
        // The last lease has ended.
        footprint.drain();
        owed::settle_all();
        assert_eq!(DESTROYED.load(Ordering::Relaxed), 1);
    }
}
