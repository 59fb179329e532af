//! The watched folder: a candidate that is copied or moved into it, or into a folder in it, is pushed.
//!
//! The kernel says when a file is *complete*: a writer has closed it, or it was renamed into the folder.
//! Only then is it looked at, so there is no waiting for a file to settle. Events that were lost (the
//! kernel's queue is bounded) lead to a look through the folder.
//!
//! The kernel reports each folder by itself, so each folder in the watched one has a watch of its own. A folder that comes
//! later is watched first and looked through then: what gets in before the watch is found by the look, what gets in after
//! it is reported. That is done on a thread beside the watcher's own, which can't add a watch while it reports. One that
//! goes, deleted or moved elsewhere, loses its watches by itself; the look that follows forgets what was wrong in it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle, ThreadId};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::call::owed;
use crate::candidate::walk::walk;
use crate::control::Mailbox;
use crate::engine::Trigger;
use crate::lock::lock;
use crate::tell::tell;

/// How many folders in it are watched. What lies in those beyond is found by looks through the folder.
const FOLDERS_MAX: usize = 1024;

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    /// Nothing is ever sent: dropping it is the message.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
    /// The thread that reports, once it has reported anything.
    reporter: Arc<OnceLock<ThreadId>>,
}

impl Trigger for Watcher {}

impl Watcher {
    pub(crate) fn start(folder: &Path, mailbox: Mailbox) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // One wish for new watches serves all that wish for it.
        let ((grow, grown), (running, ended)) = (bounded(1), bounded(0));
        let (reporter, known) = (Arc::new(OnceLock::new()), Arc::<Known>::default());
        let reports = Reports {
            root: folder.to_owned(),
            known: known.clone(),
            mailbox: mailbox.clone(),
            grow,
            thread: reporter.clone(),
        };
        let watcher = notify::recommended_watcher(move |event| reports.handle(event)).map_err(as_io)?;
        let mut watched = Watched { root: folder.to_owned(), known, watcher };
        watched.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(as_io)?;
        watched.grow();
        let thread = thread::Builder::new()
            .name("liveswap-folders".into())
            .spawn(move || watched.run(&grown, &ended, &mailbox))?;
        Ok(Self { running: Some(running), thread: Some(thread), reporter })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.running.take());
        let Some(thread) = self.thread.take() else { return };
        // A subscriber may drop the engine on this very thread; or on the one that reports, which it may be waiting for.
        // Then it ends by itself.
        let this = thread::current().id();
        if this != thread.thread().id() && self.reporter.get() != Some(&this) {
            // It runs no code that panics; if it did all the same, its watcher is gone with it.
            let _ = thread.join();
        }
    }
}

/// The folders in the watched one, as they were found last: what has gone can't be asked whether it was a folder.
type Known = Mutex<HashSet<PathBuf>>;

/// A folder with the watches on it and on what is in it.
struct Watched {
    root: PathBuf,
    known: Arc<Known>,
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
            // A subscriber may have called the engine on this thread.
            owed::settle_own();
        }
    }

    /// Watches all folders that are there. One that is watched already stays so.
    fn grow(&mut self) {
        // A folder's own watch comes before the look at what is in it: whatever comes meanwhile is reported.
        let mut watched = 0;
        loop {
            let folders = walk(&self.root).folders;
            *lock(&self.known) = folders.iter().skip(1).cloned().collect();
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

/// What the watcher's own thread does with what it reports.
struct Reports {
    root: PathBuf,
    known: Arc<Known>,
    mailbox: Mailbox,
    /// Wishes for a look at the folders, and for new watches.
    grow: Sender<()>,
    /// That thread.
    thread: Arc<OnceLock<ThreadId>>,
}

impl Reports {
    fn handle(&self, event: notify::Result<Event>) {
        self.thread.get_or_init(|| thread::current().id());
        match event {
            // Folders may have come or gone among what was lost.
            Ok(event) if event.need_rescan() => self.wish(),
            Ok(Event { kind: EventKind::Remove(_), paths, .. }) if paths.contains(&self.root) => {
                let (folder, what) = (
                    self.root.display(),
                    "the watched folder is gone: make it again and start the host again",
                );
                tell(|| tracing::error!(%folder, "{what}; until then, push by another way"));
            }
            Ok(Event { kind: EventKind::Create(CreateKind::Folder), .. }) => self.wish(),
            Ok(Event { kind, paths, .. }) if completes(kind) => {
                for path in paths {
                    if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                        self.wish();
                    } else {
                        self.mailbox.notice(path);
                    }
                }
            }
            Ok(Event { kind, paths, .. }) if takes_away(kind) => {
                if paths.iter().any(|path| lock(&self.known).contains(path)) {
                    self.wish();
                }
            }
            Ok(_) => {}
            Err(error) => {
                tell(|| tracing::warn!(%error, "watching failed; looking through the folder instead"));
                self.mailbox.rescan();
            }
        }
        // A subscriber may have called the engine on this thread.
        owed::settle_own();
    }

    /// The look through the folder comes after the watches.
    fn wish(&self) {
        // A full channel holds the same wish already.
        let _ = self.grow.try_send(());
    }
}

/// Whether the event says that something isn't there any more.
fn takes_away(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)))
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_thread_that_reports_waits_for_none_that_may_be_waiting_for_it() {
        let (reported, waits) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let reporter = thread::spawn(move || {
            let thread = Some(thread::spawn(move || waits.recv().unwrap()));
            let reporter = Arc::new(OnceLock::from(thread::current().id()));
            drop(Watcher { running: None, thread, reporter });
            reported.send(()).unwrap();
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
        reporter.join().unwrap();
    }
}
