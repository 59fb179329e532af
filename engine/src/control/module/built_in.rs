//! Beginning with the implementation that is built into the host.
//!
//! It's a version like any other, that was there first: whatever is newer replaces it, and a rollback may return to it. So
//! the highest version number wins, wherever it's from; and whoever plugs in another implementation under the built-in
//! one's number is told that this version is known with other bytes.

use liveswap_state::BuiltIn;

use super::super::mailbox::Allowed;
use super::super::{Settings, intake};
use super::{Loaded, Module};
use crate::candidate::Digest;
use crate::status::Origin;
use crate::tell::tell;

impl Module {
    /// Gives the module an implementation to begin with.
    pub(crate) fn with_built_in(mut self, built_in: Option<BuiltIn>) -> Self {
        self.built_in = built_in;
        self
    }

    /// The process begins: has the built-in implementation serve, if there is one and no record has named another version.
    pub(crate) fn begin_with_built_in(&mut self, settings: &Settings) {
        let Some(built_in) = self.built_in.filter(|_| self.active().is_none()) else { return };
        let staged = intake::stage_built_in(settings, built_in, Allowed::default());
        let begun = staged.and_then(|(staged, stages)| self.push(staged, stages, settings));
        if let Err(error) = begun {
            let (module, code) = (self.name(), error.code());
            tell(|| tracing::error!(module, code, "can't begin with the built-in version: {error}"));
        }
    }

    /// The built-in implementation, if that is what has this digest.
    pub(super) fn built_in_of(&self, digest: Digest) -> Option<BuiltIn> {
        self.built_in.filter(|built_in| Digest::of(built_in.entry().manifest) == digest)
    }
}

impl Loaded {
    /// Where it's from.
    pub(super) fn origin(&self) -> Origin {
        if self.is_built_in() { Origin::BuiltIn } else { Origin::Library }
    }

    pub(super) fn is_built_in(&self) -> bool {
        self.copy.built_in.is_some()
    }
}
