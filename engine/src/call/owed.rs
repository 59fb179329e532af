//! What this thread owes to versions: destructors that it has to run before their library goes.
//!
//! A thread-local belongs to one thread, so its destructor runs on that thread and on no other. It runs as late
//! as possible and as early as necessary:
//!
//! - once the version has retired, at the thread's next pass through the engine ([`settle`]). The thread may still come
//!   back to it through a [lease](super::leases), so it's made new to it; where that can't be, it settles once nobody
//!   comes back;
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

use super::announcement::OUTSIDE;
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
    /// The load whose hook this thread is in, or [`OUTSIDE`]. The engine calls hooks on its own threads, one after the
    /// other.
    hook: Cell<usize>,
    /// Destructors are being run: those that they lead to are left to the same loop.
    settling: Cell<bool>,
    /// The thread ends: what it was started with has returned.
    runs_no_more: Cell<bool>,
    /// It has ended.
    ended: Cell<bool>,
}

thread_local! {
    static OWED: Owed = const {
        Owed {
            thread: RefCell::new(ManuallyDrop::new(None)),
            debts: RefCell::new(ManuallyDrop::new(Vec::new())),
            runs: RefCell::new(ManuallyDrop::new(None)),
            hook: Cell::new(OUTSIDE),
            settling: Cell::new(false),
            runs_no_more: Cell::new(false),
            ended: Cell::new(false),
        }
    };
}

/// This thread, as the engine knows it.
pub(super) fn this_thread() -> Arc<Thread> {
    OWED.with(|owed| {
        let mut thread = owed.thread.borrow_mut();
        let thread = thread
            .get_or_insert_with(|| Arc::new(Thread::new(rustix::thread::gettid().as_raw_nonzero().get())));
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
            footprint.lose(
                "it can't be closed safely: it was called on a thread that had ended already, from a destructor; \
                 let the host call no module there",
            );
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

/// This thread runs code of the version for a while, and will run other versions' afterwards. Follows
/// [`Footprint::begin_start`].
pub(crate) fn hold(footprint: Arc<Footprint>, hold: Hold) -> Held {
    let thread = this_thread();
    local::prepare_end();
    footprint.started(thread.clone(), hold);
    Held { footprint, thread, hold }
}

/// A thread holds a version until this is dropped.
pub(crate) struct Held {
    footprint: Arc<Footprint>,
    thread: Arc<Thread>,
    hold: Hold,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.footprint.remove(&self.thread, self.hold);
    }
}

/// Settles what this thread owes to versions that have retired.
#[cold]
pub(super) fn settle() {
    settle_where(Footprint::is_due, renew);
}

/// Settles what this thread owes to any version that it isn't inside of. To those that it may enter again it
/// then is a new thread; where it can't be, it goes on owing.
pub(crate) fn settle_all() {
    settle();
    settle_where(|footprint| footprint.address().is_some(), renew);
}

/// The same for a thread of the engine's own: it makes no call through a lease, so it enters no version again that has
/// retired.
pub(crate) fn settle_own() {
    settle_where(Footprint::is_retired, renew);
    settle_all();
}

/// Settles with the versions that are due and of which this thread runs no code. `then` is called for each, before
/// the debt is struck off.
fn settle_where(is_due: impl Fn(&Footprint) -> bool, then: impl Fn(&Footprint)) {
    OWED.with(|owed| {
        if owed.settling.replace(true) {
            return;
        }
        while let Some(footprint) = owed.next_due(&is_due) {
            owed.run_destructors(&footprint);
            then(&footprint);
            owed.strike_off(&footprint);
        }
        owed.settling.set(false);
    });
}

/// Makes this thread new to a version that it has just settled with and still holds.
fn renew(footprint: &Footprint) {
    footprint.clear_values();
    // SAFETY: the library is mapped as long as this thread owes it something. All destructors of its thread-locals
    // have run on this thread, which `next_due` saw not to be running code of it.
    unsafe {
        if let Some(block) = footprint.address().and_then(|address| thread_locals::block_of(address)) {
            block.reset();
        }
    }
}

/// This thread is about to call a hook of the load, which counts as being inside until what is returned is dropped.
pub(crate) fn enter_hook(footprint: &Footprint) -> InHook {
    OWED.with(|owed| InHook { before: owed.hook.replace(footprint.serial) })
}

/// The load whose hook this thread is in.
pub(crate) fn in_hook_of() -> Option<usize> {
    OWED.with(|owed| Some(owed.hook.get()).filter(|serial| *serial != OUTSIDE))
}

/// This thread is in a hook.
pub(crate) struct InHook {
    before: usize,
}

impl Drop for InHook {
    fn drop(&mut self) {
        OWED.with(|owed| owed.hook.set(self.before));
    }
}

/// Whether this thread runs code of a version's until it ends, or in a hook.
pub(crate) fn is_running() -> bool {
    OWED.with(|owed| owed.runs.borrow().is_some() || owed.hook.get() != OUTSIDE)
}

/// Whether this thread owes anything.
pub(super) fn owes() -> bool {
    OWED.with(|owed| !owed.debts.borrow().is_empty())
}

/// The thread ends: settles everything, and lets go of the version that has started it. May be called again.
pub(super) fn end() {
    OWED.with(|owed| owed.runs_no_more.set(true));
    settle_where(|_| true, |_| {});
    OWED.with(|owed| {
        let (thread, runs) = (owed.thread.borrow_mut().take(), owed.runs.borrow_mut().take());
        // The list is empty now; its memory goes too.
        drop(std::mem::take(&mut **owed.debts.borrow_mut()));
        if let (Some(Run { footprint, hold }), Some(thread)) = (runs, thread) {
            footprint.remove(&thread, hold);
        }
    });
}

/// Nothing that this thread comes to owe from now on can be made good.
pub(super) fn close() {
    OWED.with(|owed| owed.ended.set(true));
}

impl Owed {
    /// A version that is due and of which this thread runs no code at present.
    fn next_due(&self, is_due: impl Fn(&Footprint) -> bool) -> Option<Arc<Footprint>> {
        let debts = self.debts.borrow();
        let mut footprints = debts.iter().map(|debt| &debt.footprint);
        footprints.find(|it| !self.is_running(it.serial) && is_due(it)).cloned()
    }

    fn is_running(&self, serial: usize) -> bool {
        let runs = self.runs.borrow();
        let is_its_own = runs.as_ref().is_some_and(|run| run.footprint.serial == serial);
        (is_its_own && !self.runs_no_more.get()) || self.hook.get() == serial || local::is_inside(serial)
    }

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
    let values = footprint.take_values();
    for (destructor, value) in &values {
        // SAFETY: the value is given to its own key's destructor, once, because it was taken away.
        unsafe { destructor(*value) };
    }
    !values.is_empty()
}
