//! SIGINT and SIGTERM: the operator asks for the end.
//!
//! Signals that come before anybody waits are kept, so that none is lost between the start and the wait.

use std::io;
use std::sync::Mutex;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::engine::Trigger;
use crate::lock::lock;

/// A signal that asks for the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSignal {
    /// SIGINT, which Ctrl-C sends.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct End(Mutex<Listening>);

#[derive(Debug)]
struct Listening {
    signals: Signals,
    /// The first one, for all who wait.
    came: Option<EndSignal>,
}

impl Trigger for End {
    fn wait_for_end(&self) -> Option<EndSignal> {
        Some(self.wait())
    }
}

impl End {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self(Mutex::new(Listening { signals: Signals::new([SIGINT, SIGTERM])?, came: None })))
    }

    /// Waits for the first one.
    pub(crate) fn wait(&self) -> EndSignal {
        let mut listening = lock(&self.0);
        let Listening { signals, came } = &mut *listening;
        *came.get_or_insert_with(|| match signals.forever().next() {
            Some(SIGINT) => EndSignal::Interrupt,
            // Nobody closes the iterator, so it ends with no other.
            _ => EndSignal::Terminate,
        })
    }
}
