//! The faults, and the trap that springs one at its moment.

use std::fs;
use std::panic;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use liveswap::Moment;
use rustix::process::{Resource, Rlimit, Signal, getpid, getrlimit, kill_process, setrlimit};

use crate::cell::Cell;

/// What an error says, and a panic.
pub(crate) const INJECTED: &str = "injected";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Error,
    Panic,
    Hang,
    Kill,
    /// Nothing more can be written to any file.
    FullDisk,
    /// The engine's private folder is gone.
    VanishedFolder,
}

impl Fault {
    pub(crate) const ALL: [Self; 6] =
        [Self::Error, Self::Panic, Self::Hang, Self::Kill, Self::FullDisk, Self::VanishedFolder];
}

/// Waits for its moment, once it is armed, and springs once.
#[derive(Clone)]
pub(crate) struct Trap {
    armed: Arc<Mutex<Option<Armed>>>,
}

struct Armed {
    cell: Cell,
    private: PathBuf,
    hangs: Sender<()>,
    released: Receiver<()>,
}

/// A moment that hangs until this is dropped.
pub(crate) struct Hang {
    pub(crate) begun: Receiver<()>,
    pub(crate) release: Sender<()>,
}

impl Trap {
    pub(crate) fn new() -> Self {
        Self { armed: Arc::default() }
    }

    pub(crate) fn arm(&self, cell: Cell, private: PathBuf) -> Hang {
        let ((hangs, begun), (release, released)) = (channel(), channel());
        *self.armed.lock().unwrap() = Some(Armed { cell, private, hangs, released });
        Hang { begun, release }
    }

    /// Whether it has sprung, or was never armed.
    pub(crate) fn is_sprung(&self) -> bool {
        self.armed.lock().unwrap().is_none()
    }

    /// What the host has to say to this moment.
    pub(crate) fn step(&self, moment: &Moment) -> Result<(), String> {
        let mut armed = self.armed.lock().unwrap();
        let is_meant =
            |armed: &mut Armed| (armed.cell.step, armed.cell.is_done) == (moment.step, moment.is_done);
        let Some(Armed { cell, private, hangs, released }) = armed.take_if(is_meant) else { return Ok(()) };
        drop(armed);
        match cell.fault {
            Fault::Error => return Err(INJECTED.to_owned()),
            Fault::Panic => panic::panic_any(INJECTED),
            Fault::Hang => {
                hangs.send(()).expect("the test waits for it");
                // An error says that it's released.
                let _ = released.recv();
            }
            Fault::Kill => kill_process(getpid(), Signal::KILL).expect("a process may kill itself"),
            Fault::FullDisk => fill_disk(),
            Fault::VanishedFolder => fs::remove_dir_all(private).expect("it was there"),
        }
        Ok(())
    }
}

/// From now on this process can make no file longer than it is, which is what a full disk does to it.
pub(crate) fn fill_disk() {
    // SAFETY: no handler is installed: writing then fails with an error instead.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    limit(Some(0));
}

pub(crate) fn free_disk() {
    limit(getrlimit(Resource::Fsize).maximum);
}

fn limit(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum })
        .expect("it may be lowered and raised again");
}
