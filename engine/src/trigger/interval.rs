//! An interval: the watched folders are looked through each time that so much time has passed.

use std::convert::Infallible;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use crate::control::Mailbox;
use crate::engine::Trigger;

/// Goes on until it is dropped.
#[derive(Debug)]
pub(crate) struct Interval {
    /// Nothing is ever sent: dropping it is the message.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Trigger for Interval {}

impl Interval {
    pub(crate) fn start(period: Duration, mailbox: Mailbox) -> io::Result<Self> {
        let (running, ended) = bounded(0);
        let thread = std::thread::Builder::new().name("liveswap-rescan".into()).spawn(move || {
            while ended.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                mailbox.rescan();
            }
        })?;
        Ok(Self { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Interval {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // It only forwards; a panic in it has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
