//! What this thread owes to versions: destructors that it has to run before their library goes.
//!
//! A thread-local belongs to one thread, so its destructor runs on that thread and on no other. It runs as late
//! as possible and as early as necessary:
//!
//! - once the version has retired, at the thread's next pass through the engine ([`settle`]);
//! - before the thread goes to sleep, if the host says so ([`settle_all`]), for all versions;
//! - at the thread's end, by the destructor of the table in [`local`](super::local).
//!
//! The order within a version is that of a thread's end: the destructors that were registered, the latest
//! first, then those of the keys' values; and again, as long as these leave new ones, up to a bound.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use liveswap_state::ThreadDestructor;

use super::footprint::Footprint;
use super::local;
use super::participants::Hold;
use super::thread::Thread;
use super::thread_locals;

/// How often the values of keys are looked through: as often as POSIX asks of a thread's end at least
/// (`_POSIX_THREAD_DESTRUCTOR_ITERATIONS`).
const ROUNDS: usize = 4;

/// What a thread owes to one load of a version.
struct Debt {
    footprint: Arc<Footprint>,
    destructors: Vec<(ThreadDestructor, *mut c_void)>,
}

/// The version that has started this thread or whose hook it runs, and as what.
struct Run {
    footprint: Arc<Footprint>,
    hold: Hold,
}

/// This thread's accounts. Nothing here is destroyed by itself, because destructors that run at the thread's
/// end come here to register more: the table in [`local`] calls [`end`].
struct Owed {
    thread: RefCell<ManuallyDrop<Option<Arc<Thread>>>>,
    debts: RefCell<ManuallyDrop<Vec<Debt>>>,
    runs: RefCell<ManuallyDrop<Option<Run>>>,
    /// Destructors are being run: those that they lead to are left to the same loop.
    settling: Cell<bool>,
    ended: Cell<bool>,
}

thread_local! {
    static OWED: Owed = const {
        Owed {
            thread: RefCell::new(ManuallyDrop::new(None)),
            debts: RefCell::new(ManuallyDrop::new(Vec::new())),
            runs: RefCell::new(ManuallyDrop::new(None)),
            settling: Cell::new(false),
            ended: Cell::new(false),
        }
    };
}

/// This thread, as the engine knows it.
pub(super) fn this_thread() -> Arc<Thread> {
    OWED.with(|owed| {
        let mut thread = owed.thread.borrow_mut();
        let thread = thread.get_or_insert_with(|| {
            let id = rustix::thread::gettid().as_raw_nonzero().get();
            let name = || {
                let name = std::thread::current().name().map(str::to_owned);
                name.unwrap_or_else(|| format!("thread-{id}"))
            };
            let runs = owed.runs.borrow();
            let is_of_logic = runs.as_ref().is_some_and(|run| run.hold == Hold::Thread);
            Arc::new(Thread::new((!is_of_logic).then(name), id))
        });
        thread.clone()
    })
}

/// This thread owes the version a call of `destructor` with `object`.
///
/// # Safety
///
/// That call must be sound on this thread, once, at any time until the version is unmapped.
pub(crate) unsafe fn record(footprint: &Arc<Footprint>, destructor: ThreadDestructor, object: *mut c_void) {
    owe(footprint, |debt| debt.destructors.push((destructor, object)));
}

/// This thread has a value for a key of the version's.
pub(crate) fn record_key(footprint: &Arc<Footprint>) {
    owe(footprint, |_| {});
}

fn owe(footprint: &Arc<Footprint>, note: impl FnOnce(&mut Debt)) {
    OWED.with(|owed| {
        if owed.ended.get() {
            footprint.lose("a destructor was registered on a thread that had ended already");
            return;
        }
        // Whether or not the end has begun, `end` is still to come.
        local::prepare_end();
        let mut debts = owed.debts.borrow_mut();
        if let Some(debt) = debts.iter_mut().find(|debt| Arc::ptr_eq(&debt.footprint, footprint)) {
            note(debt);
            return;
        }
        footprint.add_debt(&this_thread());
        let mut debt = Debt { footprint: footprint.clone(), destructors: Vec::new() };
        note(&mut debt);
        debts.push(debt);
    });
}

/// This thread runs code of the version until it ends: it was started by it, or to run a hook of it. Follows
/// [`Footprint::begin_start`].
pub(crate) fn run_for(footprint: Arc<Footprint>, hold: Hold) {
    let run = Run { footprint: footprint.clone(), hold };
    OWED.with(|owed| **owed.runs.borrow_mut() = Some(run));
    local::prepare_end();
    footprint.started(this_thread(), hold);
}

/// Settles what this thread owes to versions that have retired.
#[cold]
pub(super) fn settle() {
    settle_where(|footprint| footprint.is_retired(), false);
}

/// Settles what this thread owes to any version that it isn't inside of. To those that it may enter again it
/// then is a new thread.
pub(crate) fn settle_all() {
    settle_where(|_| true, true);
}

fn settle_where(is_due: impl Fn(&Footprint) -> bool, goes_on: bool) {
    OWED.with(|owed| {
        if owed.settling.replace(true) {
            return;
        }
        let due = || {
            let debts = owed.debts.borrow();
            let mut footprints = debts.iter().map(|debt| &debt.footprint);
            footprints.find(|it| is_due(it) && !local::is_inside(it.serial)).cloned()
        };
        while let Some(footprint) = due() {
            owed.run_destructors(&footprint);
            if goes_on && let Some(address) = footprint.address() {
                // SAFETY: all destructors of the library's thread-locals have run on this thread, which isn't
                // inside of it, and which holds it until the debt is struck off below.
                unsafe { thread_locals::reset(address) };
            }
            owed.strike_off(&footprint);
        }
        owed.settling.set(false);
    });
}

/// The thread ends: settles everything, and lets go of the version that has started it.
pub(super) fn end() {
    settle_where(|_| true, false);
    OWED.with(|owed| {
        owed.ended.set(true);
        let (thread, runs) = (owed.thread.borrow_mut().take(), owed.runs.borrow_mut().take());
        // The list is empty now; its memory goes too.
        drop(std::mem::take(&mut **owed.debts.borrow_mut()));
        if let (Some(Run { footprint, hold }), Some(thread)) = (runs, thread) {
            footprint.remove(&thread, hold);
        }
    });
}

impl Owed {
    fn run_destructors(&self, footprint: &Arc<Footprint>) {
        let next = || {
            let mut debts = self.debts.borrow_mut();
            let debt = debts.iter_mut().find(|debt| Arc::ptr_eq(&debt.footprint, footprint));
            debt.and_then(|debt| debt.destructors.pop())
        };
        let mut rounds = 0;
        loop {
            // Not borrowed while one runs: it may register another.
            while let Some((destructor, object)) = next() {
                // SAFETY: as `record`'s caller vouched; taken off the list, so it's called once.
                unsafe { destructor(object) };
            }
            if rounds == ROUNDS || !take_values(footprint) {
                return;
            }
            rounds += 1;
        }
    }

    fn strike_off(&self, footprint: &Arc<Footprint>) {
        self.debts.borrow_mut().retain(|debt| !Arc::ptr_eq(&debt.footprint, footprint));
        footprint.remove(&this_thread(), Hold::Destructors);
    }
}

/// Takes this thread's values of the version's keys away and runs their destructors. False if there were none.
fn take_values(footprint: &Footprint) -> bool {
    let mut any = false;
    for (key, destructor) in footprint.keys() {
        let Some(destructor) = destructor else { continue };
        // SAFETY: the key was created by the version and is deleted after its last thread has settled. The value
        // is given to its own destructor, once, because it's taken away first.
        unsafe {
            let value = libc::pthread_getspecific(key);
            if !value.is_null() {
                libc::pthread_setspecific(key, std::ptr::null());
                destructor(value);
                any = true;
            }
        }
    }
    any
}
