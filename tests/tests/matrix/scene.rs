//! A host for one cell, and what must hold of it in the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fixture_api::world::{Figures, Realm};
use liveswap::{Builder, Probation};
use liveswap_tests::host::MODULE;
use liveswap_tests::world::{self, figures, realm};
use liveswap_tests::{Host, Patched, wait_until};

use crate::cell::{Cell, Operation};
use crate::fault::{Fault, Hang, Trap, free_disk};

const ENTITIES: u64 = 200;

/// A host that serves version 1001, or 1002 if that is to be rolled back.
pub(crate) struct Scene {
    cell: Cell,
    host: Host,
    trap: Trap,
    /// The candidate, and the version after it.
    candidate: PathBuf,
    next: PathBuf,
    before: Figures,
}

impl Scene {
    pub(crate) fn new(cell: Cell) -> Self {
        let trap = Trap::new();
        let host = Host::of::<dyn Realm>(|builder, _| configure(builder, cell.probation, &trap));
        let candidate = candidate(cell.changes, "1002", host.folder());
        let next = Patched::of(world::version(if cell.changes { 2 } else { 1 }));
        let next = next.version("1003").write(host.folder(), "1003");
        host.push(world::version(1));
        realm(&host).call(|realm| realm.fill(0, ENTITIES)).unwrap();
        if cell.operation == Operation::RollBack {
            host.push(&*candidate);
        }
        realm(&host).call(|realm| realm.train(7, 3)).unwrap();
        let before = figures(&host);
        Self { cell, host, trap, candidate, next, before }
    }

    /// Has the fault strike, and looks at all that must hold. How the swap has ended.
    pub(crate) fn run(self) -> String {
        let cell = self.cell;
        let (from, to) = match cell.operation {
            Operation::Push => ("1001", "1002"),
            Operation::RollBack => ("1002", "1001"),
        };
        let refused = self.host.status().swaps.refused;
        let hang = self.trap.arm(cell, self.host.private().to_owned());
        let outcome = thread::scope(|scope| {
            let swap = scope.spawn(|| self.swap());
            if cell.fault == Fault::Hang {
                self.look_while_it_hangs(hang, from, to);
            }
            swap.join().unwrap()
        });
        free_disk();
        assert!(self.trap.is_sprung(), "{cell:?}: the moment didn't come");

        let (active, other) = if outcome.is_ok() { (to, from) } else { (from, to) };
        self.check(active, &format!("{cell:?} ended with {outcome:?}"));
        let is_counted = outcome.is_err() && cell.operation == Operation::Push;
        assert_eq!(self.host.status().swaps.refused - refused, u64::from(is_counted), "{cell:?}");
        if cell.fault == Fault::Error || cell.fault == Fault::Panic {
            // What has been done can't be withheld any more.
            assert_eq!(outcome.is_ok(), cell.is_done, "{cell:?}: {outcome:?}");
        }

        // The fault is gone: what was refused works, and what comes next does.
        if outcome.is_err() {
            self.swap().unwrap_or_else(|code| panic!("{cell:?}: once more, it's refused: {code}"));
            self.check(other, &format!("{cell:?}, once more"));
        }
        self.host.push(&*self.next);
        self.check("1003", &format!("{cell:?}, the next version"));
        self.end();
        outcome.err().unwrap_or_else(|| "swapped".to_owned())
    }

    fn swap(&self) -> Result<(), String> {
        match self.cell.operation {
            Operation::Push => {
                let pushed = self.host.engine.push(&*self.candidate);
                pushed.map(drop).map_err(|error| error.code().to_owned())
            }
            Operation::RollBack => {
                let returned = self.host.engine.rollback(MODULE);
                returned.map(drop).map_err(|error| error.code().to_owned())
            }
        }
    }

    /// Calls go on while the control thread is held up, on a version that is published.
    fn look_while_it_hangs(&self, hang: Hang, from: &str, to: &str) {
        hang.begun.recv_timeout(Duration::from_secs(60)).expect("the moment comes");
        let phase = self.host.status().phase;
        let active = self.host.status().active.expect("there is always one").version.to_string();
        assert!([from, to].contains(&&*active), "{:?}: {phase}, {active}", self.cell);
        if !self.cell.holds_calls_up() {
            realm(&self.host).call(|realm| realm.schema()).expect("the service answers");
        }
        let busy = self.host.engine.push(&*self.next).expect_err("one swap at a time");
        assert_eq!(busy.code(), "busy", "{:?}", self.cell);
        drop(hang.release);
    }

    /// The service answers on this version, its state is whole, and the status says the same.
    fn check(&self, version: &str, when: &str) {
        let status = self.host.status();
        assert_eq!(
            status.active.as_ref().map(|active| active.version.to_string()).as_deref(),
            Some(version),
            "{when}"
        );
        assert!(["serving", "probation"].contains(&status.phase), "{when}: {}", status.phase);
        assert_eq!(figures(&self.host), self.before, "{when}");
        let schema = if self.cell.changes && version != "1001" { 2 } else { 1 };
        assert_eq!(world::schema(&self.host), schema, "{when}");
    }

    /// Nothing is left over while it runs, and nothing at all afterwards.
    fn end(self) {
        let Self { cell, host, .. } = self;
        let slots = [host.status().active.is_some(), host.status().standby.is_some()];
        let slots = slots.into_iter().filter(|is_there| *is_there).count();
        host.wait_until_mapped(slots);
        let mut threads = Vec::new();
        wait_until(&format!("{cell:?}: only the engine's own threads are left"), || {
            threads = threads_of_the_engine();
            threads
                .iter()
                .all(|name| ["liveswap-contro", "liveswap-reaper", "liveswap-hook"].contains(&&**name))
        });
        let left = host.end();
        assert_eq!((left.mapped, left.copies), (0, 0), "{cell:?}");
        wait_until(&format!("{cell:?}: no thread is left"), || threads_of_the_engine().is_empty());
    }
}

pub(crate) fn configure(builder: Builder, probation: bool, trap: &Trap) -> Builder {
    let trap = trap.clone();
    let builder = builder.on_step(move |moment| trap.step(moment));
    let policy = Probation::default().window(Duration::from_secs(3600));
    if probation { builder.probation(policy) } else { builder }
}

/// Version 1002, with the state in another shape than 1001's or in the same.
pub(crate) fn candidate(changes: bool, version: &str, folder: &Path) -> PathBuf {
    Patched::of(world::version(if changes { 2 } else { 1 })).version(version).write(folder, version)
}

/// The threads that an engine has started, by the names that the kernel keeps of them.
fn threads_of_the_engine() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists a process's threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.starts_with("liveswap")).collect()
}
