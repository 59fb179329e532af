//! The watched folder: a candidate that is copied or moved into it is pushed.
//!
//! The kernel says when a file is *complete*: a writer has closed it, or it was renamed into the folder.
//! Only then is it looked at, so there is no waiting for a file to settle. Events that were lost (the
//! kernel's queue is bounded) lead to a look through the folder.

use std::fs;
use std::io;
use std::path::Path;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::call::owed;
use crate::control::Mailbox;
use crate::engine::Trigger;
use crate::tell::tell;

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watcher {
    _watcher: RecommendedWatcher,
}

impl Trigger for Watcher {}

impl Watcher {
    pub(crate) fn start(folder: &Path, mailbox: Mailbox) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let root = folder.to_owned();
        let mut watcher =
            notify::recommended_watcher(move |event| handle(event, &root, &mailbox)).map_err(as_io)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(as_io)?;
        Ok(Self { _watcher: watcher })
    }
}

fn handle(event: notify::Result<Event>, folder: &Path, mailbox: &Mailbox) {
    match event {
        Ok(event) if event.need_rescan() => mailbox.rescan(),
        Ok(Event { kind: EventKind::Remove(_), paths, .. }) if paths.iter().any(|path| path == folder) => {
            let (folder, what) =
                (folder.display(), "the watched folder is gone: make it again and start the host again");
            tell(|| tracing::error!(%folder, "{what}; until then, push by another way"));
        }
        Ok(Event { kind, paths, .. }) if completes(kind) => {
            paths.into_iter().for_each(|path| mailbox.notice(path));
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

/// Whether the event says that a file is whole.
fn completes(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To))
    )
}

fn as_io(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}
