//! SIGHUP: the operator asks for a look through the watched folders, and at the configuration.

use std::io;
use std::thread::JoinHandle;

use signal_hook::consts::SIGHUP;
use signal_hook::iterator::{Handle, Signals};

use crate::control::Mailbox;
use crate::engine::Trigger;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Hangup {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Trigger for Hangup {}

impl Hangup {
    pub(crate) fn start(mailbox: Mailbox) -> io::Result<Self> {
        let mut signals = Signals::new([SIGHUP])?;
        let handle = signals.handle();
        let thread = std::thread::Builder::new().name("liveswap-hangup".into()).spawn(move || {
            for _ in signals.forever() {
                // First: what is in the folders may need what is set now.
                mailbox.reload();
                mailbox.rescan();
            }
        })?;
        Ok(Self { handle, thread: Some(thread) })
    }
}

impl Drop for Hangup {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // It only forwards; a panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
