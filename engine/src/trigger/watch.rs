//! The watched folder: a candidate that is copied or moved into it, or into a folder in it, is pushed.
//!
//! The kernel says when a file is *complete*: a writer has closed it, or it was renamed into the folder.
//! Only then is it looked at, so there is no waiting for a file to settle. Events that were lost (the
//! kernel's queue is bounded) lead to a look through the folder.
//!
//! The kernel reports each folder by itself, so each folder in the watched one has a watch of its own. A folder that comes
//! later is watched first and looked through then: what gets in before the watch is found by the look, what gets in after
//! it is reported. That is done on a thread beside the watcher's own, which can't add a watch while it reports.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::call::owed;
use crate::candidate::walk::walk;
use crate::control::Mailbox;
use crate::engine::Trigger;
use crate::tell::tell;

/// How many folders in it are watched. What lies in those beyond is found by looks through the folder.
const FOLDERS_MAX: usize = 1024;

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Nothing is ever sent: dropping it is the message.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Trigger for Watcher {}

impl Watcher {
    pub(crate) fn start(folder: &Path, mailbox: Mailbox) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // One wish for new watches serves all that wish for it.
        let ((grow, grown), (running, ended)) = (bounded(1), bounded(0));
        let watcher = notify::recommended_watcher({
            let (root, mailbox) = (folder.to_owned(), mailbox.clone());
            move |event| handle(event, &root, &mailbox, &grow)
        });
        let mut watched = Watched { root: folder.to_owned(), watcher: watcher.map_err(as_io)? };
        watched.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(as_io)?;
        watched.grow();
        let thread = thread::Builder::new()
            .name("liveswap-folders".into())
            .spawn(move || watched.run(&grown, &ended, &mailbox))?;
        Ok(Self { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // It runs no code that panics; if it did all the same, its watcher is gone with it.
            let _ = thread.join();
        }
    }
}

/// A folder with the watches on it and on what is in it.
struct Watched {
    root: PathBuf,
    watcher: RecommendedWatcher,
}

impl Watched {
    /// Adds watches whenever folders have come, until the engine ends.
    fn run(mut self, grown: &Receiver<()>, ended: &Receiver<Infallible>, mailbox: &Mailbox) {
        loop {
            select! {
                recv(ended) -> _ => return,
                // An error would say that the watcher has ended, which only this thread ends.
                recv(grown) -> _ => {
                    self.grow();
                    mailbox.rescan();
                }
            }
        }
    }

    /// Watches all folders that are there. One that is watched already stays so.
    fn grow(&mut self) {
        // A folder's own watch comes before the look at what is in it: whatever comes meanwhile is reported.
        let mut watched = 0;
        loop {
            let folders = walk(&self.root).folders;
            for folder in folders.iter().skip(1).take(FOLDERS_MAX) {
                if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive)
                    && folder.exists()
                {
                    let (folder, what) =
                        (folder.display(), "can't watch a folder; what comes there isn't noticed");
                    tell(|| tracing::warn!(%folder, %error, "{what} until the next look"));
                }
            }
            if folders.len() > FOLDERS_MAX + 1 {
                let (folder, limit) = (self.root.display(), FOLDERS_MAX);
                let what = "has more folders than are watched: what comes to those beyond isn't noticed";
                tell(|| tracing::warn!(%folder, limit, "{what} until the next look"));
                return;
            }
            if folders.len() <= watched {
                return;
            }
            watched = folders.len();
        }
    }
}

fn handle(event: notify::Result<Event>, folder: &Path, mailbox: &Mailbox, grow: &Sender<()>) {
    match event {
        Ok(event) if event.need_rescan() => {
            // Folders may have come among what was lost; the look comes after the watches.
            let _ = grow.try_send(());
        }
        Ok(Event { kind: EventKind::Remove(_), paths, .. }) if paths.iter().any(|path| path == folder) => {
            let (folder, what) =
                (folder.display(), "the watched folder is gone: make it again and start the host again");
            tell(|| tracing::error!(%folder, "{what}; until then, push by another way"));
        }
        Ok(Event { kind: EventKind::Create(CreateKind::Folder), .. }) => {
            // A full channel holds the same wish already.
            let _ = grow.try_send(());
        }
        Ok(Event { kind, paths, .. }) if completes(kind) => {
            for path in paths {
                if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                    let _ = grow.try_send(());
                } else {
                    mailbox.notice(path);
                }
            }
        }
        Ok(_) => {}
        Err(error) => {
            tell(|| tracing::warn!(%error, "watching failed; looking through the folder instead"));
            mailbox.rescan();
        }
    }
    // A subscriber may have called the engine on this thread.
    owed::settle_own();
}

/// Whether the event says that a file is whole, or that a folder has come with all that is in it.
pub(super) fn completes(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To))
    )
}

pub(super) fn as_io(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
