//! What tests of the fixture that leaves things on threads share: its hosts and versions, and threads to call it on.

use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use fixture_api::threads::{Threads, ThreadsProxy};
use liveswap::status::Holder;
use liveswap::{Guard, Module};
use liveswap_state::CallError;

use crate::{Fixture, Host, Patched, wait_until};

type Proxy<'guard> = ThreadsProxy<Guard<'guard>>;

/// A host for that fixture.
pub fn host() -> Host {
    Host::of::<dyn Threads>(|builder, _| builder)
}

/// The fixture, as a version that no other test of this process uses: the log is that of all tests.
pub fn candidate(host: &Host, version: &str) -> PathBuf {
    Patched::of(Fixture::threads("1001").build()).version(version).write(host.folder(), version)
}

/// Replaces what is active and lets it go.
#[track_caller]
pub fn replace(host: &Host, version: &str) {
    host.push(candidate(host, version));
    host.commit();
}

/// Waits until it is retained and none of its hooks runs; who holds it then.
#[track_caller]
pub fn wait_until_retained(host: &Host, version: &str) -> Vec<Holder> {
    let mut holders = Vec::new();
    wait_until(&format!("{version} is retained"), || {
        let retired = host.retired(version).expect("it has left its slot");
        holders = retired.holders;
        retired.state == "retained" && holders.iter().all(|holder| holder.holds_by != "hook")
    });
    holders
}

/// A thread that does what it is told, when it is told.
#[derive(Debug)]
pub struct Worker {
    work: Sender<Box<dyn FnOnce() + Send>>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// A thread of this name.
    pub fn new(name: &str) -> Self {
        let (work, told) = channel::<Box<dyn FnOnce() + Send>>();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || told.into_iter().for_each(|work| work()));
        Self { work, thread: thread.expect("a thread can be started") }
    }

    /// Has it done, and waits for the result.
    pub fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (answer, answered) = channel();
        let work = move || answer.send(work()).expect("the answer is waited for");
        self.work.send(Box::new(work)).expect("the thread runs");
        answered.recv().expect("the thread has done it")
    }

    /// Has a call made.
    ///
    /// # Errors
    ///
    /// As the call.
    pub fn call<R: Send + 'static>(
        &self,
        host: &Host,
        call: fn(&Proxy<'_>) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let module: Module<dyn Threads> = host.module();
        self.run(move || module.call(call))
    }

    /// Lets it end, and waits until it has.
    pub fn end(self) {
        drop(self.work);
        self.thread.join().expect("it hasn't panicked");
    }
}
