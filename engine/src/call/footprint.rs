//! The footprint: what one load of a version has left on threads, beside the calls that are inside.
//!
//! A call that returns may leave something behind: the destructor of a thread-local, the value of a key, a
//! thread that goes on. Each of them runs code of the library later. So a library is unmapped only when its
//! footprint is empty.
//!
//! **The protocol.** An entry is made by the thread that leaves something, while it is inside the version (or
//! is a thread of the version's own, which has an entry itself); so when the reaper has seen that no call is
//! inside, all entries that calls have made are there. An entry is taken out by the same thread, after the
//! last of the version's code that it will run. Both happen under one lock, and the reaper looks under it: so
//! whatever the thread did happens before the library is unmapped.
//!
//! Which of a version's destructors a thread has to run, only that thread knows: [`owed`](super::owed).

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::sync::{Arc, OnceLock, RwLock, Weak};
use std::time::Instant;

use liveswap_state::ThreadDestructor;

use super::bell::Bell;
use super::participants::{Hold, Holding};
use super::sync::{AtomicBool, Mutex, Ordering, lock};
use super::thread::Thread;
use super::thread_locals;
use crate::lock::{read, write};

pub(crate) struct Footprint {
    /// The load that it belongs to.
    pub(crate) serial: usize,
    /// Rings when an entry is taken out.
    bell: Arc<Bell>,
    /// Nobody enters this load any more, but through a lease. The Release store in [`retire`](Self::retire) pairs with the
    /// Acquire load in [`is_retired`](Self::is_retired).
    retired: AtomicBool,
    /// Nobody enters it any more at all, so its thread-locals aren't needed again. The same, in [`drain`](Self::drain).
    drained: AtomicBool,
    /// The library is being closed.
    closing: AtomicBool,
    /// An address inside the library, if threads can be made new to it.
    address: OnceLock<usize>,
    left: Mutex<Left>,
}

#[derive(Default)]
struct Left {
    entries: Vec<Entry>,
    /// Threads that haven't run far enough yet to have an entry.
    starting: usize,
    /// The keys that it has created, with what is to be done with a thread's value.
    keys: Vec<(u32, Option<ThreadDestructor>)>,
    /// What nobody can ever make good.
    lost: Option<&'static str>,
}

/// One thread holds the version in one way.
struct Entry {
    thread: Arc<Thread>,
    hold: Hold,
    since: Instant,
}

/// Each load's footprint, by its serial number. Locked only where threads, keys or destructors come and go.
static FOOTPRINTS: RwLock<BTreeMap<usize, Weak<Footprint>>> = RwLock::new(BTreeMap::new());

impl fmt::Debug for Footprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Footprint").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl Footprint {
    /// The footprint of a new load. `bell` rings when something is taken out of it.
    pub(crate) fn new(serial: usize, bell: Arc<Bell>) -> Arc<Self> {
        let footprint = Arc::new(Self {
            serial,
            bell,
            retired: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            address: OnceLock::new(),
            left: Mutex::new(Left::default()),
        });
        let mut footprints = write(&FOOTPRINTS);
        footprints.insert(serial, Arc::downgrade(&footprint));
        footprint
    }

    /// The footprint of a load that is still mapped.
    pub(crate) fn find(serial: usize) -> Option<Arc<Self>> {
        read(&FOOTPRINTS).get(&serial)?.upgrade()
    }

    /// Says where the library is: `address` is inside. This thread must have touched a thread-local of it.
    ///
    /// # Safety
    ///
    /// The library must be mapped.
    pub(crate) unsafe fn locate(&self, address: usize) {
        // SAFETY: as the caller vouches.
        if unsafe { thread_locals::are_told(address) } {
            // Set before: the same library, so any address inside will do.
            let _ = self.address.set(address);
        }
    }

    /// An address inside the library, if threads can be [made new](thread_locals) to it.
    pub(crate) fn address(&self) -> Option<usize> {
        self.address.get().copied()
    }

    /// The thread owes the version destructors.
    pub(crate) fn add_debt(&self, thread: &Arc<Thread>) {
        let entry = Entry { thread: thread.clone(), hold: Hold::Destructors, since: Instant::now() };
        lock(&self.left).entries.push(entry);
        // Either this sees the retirement, or `retire` sees the entry.
        if self.is_retired() {
            thread.ask_to_settle();
        }
    }

    /// The thread doesn't hold the version in this way any more. It runs none of its code after this.
    pub(crate) fn remove(&self, thread: &Thread, hold: Hold) {
        lock(&self.left)
            .entries
            .retain(|entry| !(std::ptr::eq(&*entry.thread, thread) && entry.hold == hold));
        self.ring();
    }

    /// Wakes the reaper, if it may be waiting: it looks at the entries, under the lock, only after it has noted the
    /// retirement. So whoever doesn't see that here was seen there.
    fn ring(&self) {
        if self.is_retired() {
            self.bell.ring();
        }
    }

    /// A thread that will run code of the version is about to be started.
    pub(crate) fn begin_start(&self) {
        lock(&self.left).starting += 1;
    }

    /// It has started: from here on its entry counts.
    pub(crate) fn started(&self, thread: Arc<Thread>, hold: Hold) {
        let mut left = lock(&self.left);
        left.starting -= 1;
        left.entries.push(Entry { thread, hold, since: Instant::now() });
    }

    /// It couldn't be started.
    pub(crate) fn not_started(&self) {
        lock(&self.left).starting -= 1;
        self.ring();
    }

    /// Creates a key for the version. A real one, without a destructor: the C library never calls into a version.
    ///
    /// # Safety
    ///
    /// As `pthread_key_create`.
    pub(crate) unsafe fn create_key(&self, key: *mut u32, destructor: Option<ThreadDestructor>) -> c_int {
        let mut left = lock(&self.left);
        // SAFETY: `key` can be written to, as the caller vouches.
        unsafe {
            let result = libc::pthread_key_create(key, None);
            if result == 0 {
                left.keys.push((*key, destructor));
            }
            result
        }
    }

    /// Deletes a key of the version's.
    pub(crate) fn delete_key(&self, key: u32) -> c_int {
        let mut left = lock(&self.left);
        let Some(place) = left.keys.iter().position(|(known, _)| *known == key) else { return libc::EINVAL };
        left.keys.swap_remove(place);
        // SAFETY: the version has created it, and nobody has deleted it.
        unsafe { libc::pthread_key_delete(key) }
    }

    /// Deletes all of the version's keys. It is gone.
    pub(crate) fn delete_keys(&self) {
        for (key, _) in std::mem::take(&mut lock(&self.left).keys) {
            // SAFETY: the version had created it, and nobody has deleted it.
            unsafe { libc::pthread_key_delete(key) };
        }
    }

    /// Takes this thread's values of those keys away that have a destructor.
    pub(super) fn take_values(&self) -> Vec<(ThreadDestructor, *mut c_void)> {
        let left = lock(&self.left);
        let destructible = left.keys.iter().filter_map(|&(key, destructor)| Some((destructor?, take(key))));
        destructible.filter(|(_, value)| !value.is_null()).collect()
    }

    /// Takes all of this thread's values away.
    pub(super) fn clear_values(&self) {
        for (key, _) in &lock(&self.left).keys {
            take(*key);
        }
    }

    /// The library is about to be closed: what its own destructors leave on threads isn't noted any more, because
    /// nobody could make that good.
    pub(crate) fn begin_close(&self) {
        // Relaxed: those run on this thread.
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Something was left that can't be undone: the library can never be unmapped.
    pub(crate) fn lose(&self, why: &'static str) {
        lock(&self.left).lost.get_or_insert(why);
    }

    /// Why the library can never be unmapped, if so.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        lock(&self.left).lost
    }

    /// Nobody enters this load again, but through a lease: asks all threads to settle what they owe to it. Those that are
    /// still inside do so when they leave.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.ask_to_settle();
    }

    /// Nobody enters it again at all. Asks those threads once more that can't be made new to it.
    pub(crate) fn drain(&self) {
        self.drained.store(true, Ordering::Release);
        self.ask_to_settle();
    }

    fn ask_to_settle(&self) {
        for entry in &lock(&self.left).entries {
            if entry.hold == Hold::Destructors {
                entry.thread.ask_to_settle();
            }
        }
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whether threads are to settle what they owe to it: so that they can come back to it, or once nobody does.
    pub(super) fn is_due(&self) -> bool {
        self.is_retired() && (self.address().is_some() || self.drained.load(Ordering::Acquire))
    }

    /// Whether no thread holds the version beside those that are inside.
    pub(crate) fn is_empty(&self) -> bool {
        let left = lock(&self.left);
        left.entries.is_empty() && left.starting == 0
    }

    /// Whether a thread is in this hook, for which a swap waits or has given up to.
    pub(crate) fn is_awaited_in(&self, hook: &'static str) -> bool {
        lock(&self.left).entries.iter().any(|entry| entry.hold == Hold::Awaited(hook))
    }

    /// Whether code of the version is being run, or will be, without anybody's asking: by a thread of its own, or
    /// in a hook.
    pub(crate) fn is_running(&self) -> bool {
        let left = lock(&self.left);
        left.starting > 0 || left.entries.iter().any(|entry| entry.hold != Hold::Destructors)
    }

    /// Who holds the version, with names. A thread that runs its code until it ends isn't named for its
    /// destructors too.
    pub(crate) fn holders(&self) -> Vec<Holding> {
        let left = lock(&self.left);
        let runs = |thread: &Arc<Thread>| {
            left.entries.iter().any(|it| Arc::ptr_eq(&it.thread, thread) && it.hold != Hold::Destructors)
        };
        left.entries
            .iter()
            .filter(|entry| entry.hold != Hold::Destructors || !runs(&entry.thread))
            .map(|Entry { thread, hold, since }| Holding {
                label: None,
                thread: thread.name(),
                thread_id: thread.id,
                hold: *hold,
                age: since.elapsed(),
            })
            .collect()
    }
}

/// Takes this thread's value of a key that exists. None is null.
fn take(key: u32) -> *mut c_void {
    // SAFETY: the key exists.
    unsafe {
        let value = libc::pthread_getspecific(key);
        if !value.is_null() {
            libc::pthread_setspecific(key, std::ptr::null());
        }
        value
    }
}

impl Drop for Footprint {
    fn drop(&mut self) {
        write(&FOOTPRINTS).remove(&self.serial);
    }
}
