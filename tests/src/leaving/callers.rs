//! Threads of a host that live on from version to version, and make the calls that they are told to.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use fixture_api::behaviours::{Behaviour, Behaviours};
use liveswap::Module;
use liveswap_state::CallError;

pub(super) struct Callers(Vec<Caller>);

struct Caller {
    orders: Sender<Behaviour>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Callers {
    pub(super) fn start(count: usize, module: &Module<dyn Behaviours>) -> Self {
        Self((0..count).map(|_| Caller::start(module.clone())).collect())
    }

    /// All of them call at the same time. Returns when all have returned.
    pub(super) fn call(&self, behaviour: Behaviour) {
        for caller in &self.0 {
            caller.orders.send(behaviour).expect("a caller whose calls succeed lives on");
        }
        for caller in &self.0 {
            caller.done.recv().expect("each call succeeds");
        }
    }

    /// The threads end.
    pub(super) fn end(self) {
        for Caller { orders, thread, .. } in self.0 {
            drop(orders);
            thread.join().expect("each call succeeds");
        }
    }
}

impl Caller {
    fn start(module: Module<dyn Behaviours>) -> Self {
        let (orders, ordered) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        let thread = thread::spawn(move || {
            for behaviour in ordered {
                call(&module, behaviour);
                if finished.send(()).is_err() {
                    return;
                }
            }
        });
        Self { orders, done, thread }
    }
}

/// One call, which ends as it should.
pub(super) fn call(module: &Module<dyn Behaviours>, behaviour: Behaviour) {
    let result = module.call(|behaviours| behaviours.behave(behaviour));
    match behaviour {
        Behaviour::PanicCaughtByTheFence => assert!(matches!(result, Err(CallError::Panicked { .. }))),
        _ => assert_eq!(result, Ok(())),
    }
}
