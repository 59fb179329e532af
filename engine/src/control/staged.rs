//! A candidate on its way through the steps, with all that they have made so far.

use std::sync::Arc;

use super::Serial;
use super::library::Library;
use super::mailbox::Allowed;
use super::state::State;
use crate::call::{Bell, Footprint};
use crate::candidate::Digest;
use crate::candidate::private::PrivateCopy;
use crate::candidate::verify::Readable;

/// A candidate on its way through the steps.
pub(crate) struct Staged {
    pub(super) serial: Serial,
    pub(super) readable: Readable,
    pub(super) section: Vec<u8>,
    pub(super) copy: Arc<PrivateCopy>,
    pub(super) allowed: Allowed,
    /// The host's methods in the candidate's code table; known once it is verified.
    pub(super) places: Box<[usize]>,
    pub(super) footprint: Arc<Footprint>,
    pub(super) library: Option<Library>,
    /// Its constructors haven't returned in time.
    pub(super) is_stuck: bool,
    /// Its `prepare` hook was called.
    pub(super) prepared: bool,
    /// Made by the candidate, if the module had no state yet.
    pub(super) created: Option<State>,
}

impl Staged {
    pub(crate) fn new(
        readable: Readable,
        section: Vec<u8>,
        copy: PrivateCopy,
        allowed: Allowed,
        bell: Arc<Bell>,
    ) -> Self {
        let serial = Serial::fresh();
        Self {
            serial,
            readable,
            section,
            copy: Arc::new(copy),
            allowed,
            places: Box::default(),
            footprint: Footprint::new(serial.0, bell),
            library: None,
            is_stuck: false,
            prepared: false,
            created: None,
        }
    }

    pub(crate) fn module(&self) -> &str {
        &self.readable.manifest.module
    }

    pub(crate) fn digest(&self) -> Digest {
        self.copy.digest
    }
}
