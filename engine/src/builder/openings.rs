//! Folders whose candidates become modules by themselves.

use std::path::PathBuf;

use liveswap_state::Interface;

use super::{Builder, Declaration};
use crate::control::Opening;

/// How many modules an engine may have, unless the host says otherwise.
pub(super) const MODULES_MAX: usize = 256;

impl Builder {
    /// Watches a folder, as [`watch`](Self::watch) does, whose candidates become modules by themselves: each one that
    /// offers the interface `I`, and is of a module that the host doesn't have yet, makes that module, under the name in
    /// its manifest. So a host needn't know its modules by name: a shell has the commands that lie in a folder.
    ///
    /// A candidate that is refused makes no module. Whatever else is asked for, such as a probation, holds for these
    /// modules too; [`Engine::modules`](crate::Engine::modules) has all of them. A module that was made stays, though its
    /// file be taken away.
    #[cfg(feature = "watch")]
    pub fn modules_from<I: Interface + ?Sized>(self, folder: impl Into<PathBuf>) -> Self {
        let mut builder = self.watch(folder);
        let folder = builder.watched.last().expect("it was just added").clone();
        builder.openings.push(Opening {
            folder,
            interface: I::NAME,
            methods: I::METHODS,
            declare: Declaration::of::<I>,
        });
        builder
    }

    /// How many modules the engine may have, for those that are [found](Self::modules_from) while it runs. A candidate
    /// beyond that is refused. 256, unless set.
    pub fn modules_max(mut self, modules: usize) -> Self {
        self.modules_max = modules;
        self
    }
}
