//! The configuration's file: when it was written or replaced, it's read again.
//!
//! The folder is watched and not the file, because editors and tools put a new file in its place. As with candidates, it
//! counts when a writer has closed it, or when it was renamed to.

use std::io;
use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::watch::{as_io, completes};
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
    pub(crate) fn start(file: &Path, mailbox: Mailbox) -> io::Result<Self> {
        let folder = file.parent().map_or_else(PathBuf::new, Path::to_owned);
        let (watched, wishes) = (file.to_owned(), mailbox.clone());
        let mut watcher =
            notify::recommended_watcher(move |event| handle(event, &watched, &wishes)).map_err(as_io)?;
        watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(as_io)?;
        // What has changed since it was read at the start.
        mailbox.reload();
        Ok(Self { _watcher: watcher })
    }
}

fn handle(event: notify::Result<Event>, file: &Path, mailbox: &Mailbox) {
    match event {
        Ok(event) if event.need_rescan() => mailbox.reload(),
        Ok(Event { kind, paths, .. }) if completes(kind) && paths.iter().any(|path| path == file) => {
            mailbox.reload();
        }
        Ok(_) => {}
        Err(error) => {
            tell(|| tracing::warn!(%error, "watching failed; reading the configuration instead"));
            mailbox.reload();
        }
    }
    // A subscriber may have called the engine on this thread.
    owed::settle_own();
}
