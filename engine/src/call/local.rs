//! A thread's own side of a module: its participant, the version it is inside, and how it borrows.
//!
//! Each thread keeps one [`Local`] per module it calls, in a thread-local table indexed by the module's
//! number. A `Local` stays where it is until its thread ends; while a guard lives, not even then. The table's
//! destructor is also how the engine hears that a thread ends, whoever has started it.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use arc_swap::{ArcSwapOption, Cache};

use super::CallPath;
use super::announcement::{Announcement, OUTSIDE};
use super::gate::{Barred, Closed};
use super::owed;
use super::participants::Participant;
use super::suspicion::Suspicion;
use super::version::Version;

/// Lets arc-swap's cache look at the cell inside a shared call path.
struct Active(Arc<CallPath>);

impl Deref for Active {
    type Target = ArcSwapOption<Version>;

    fn deref(&self) -> &Self::Target {
        &self.0.active
    }
}

pub(super) struct Local {
    path: Arc<CallPath>,
    participant: Arc<Participant>,
    /// arc-swap's own cache: one relaxed load tells whether the version it holds is still the active one.
    /// Touched only by [`Local::enter`] at depth 0, and never while that runs already.
    active: UnsafeCell<Cache<Active, Option<Arc<Version>>>>,
    /// How many guards this thread holds.
    depth: Cell<usize>,
    /// The serial number of the version this thread entered last.
    entered: Cell<usize>,
    /// Valid while `depth` is above 0: the cache keeps it alive, and isn't touched then.
    version: Cell<*const Version>,
    /// How many calls of this thread share the state now, one inside the other.
    sharing: Cell<usize>,
    /// Whether a call of this thread has the state alone, or the engine has on this thread: see [`Apart`].
    alone: Cell<bool>,
}

impl Local {
    fn new(path: Arc<CallPath>) -> Self {
        let thread = owed::this_thread();
        let participant = Arc::new(Participant::new(thread.clone()));
        thread.join(&participant);
        if owed::owes() {
            // It may have been asked before it had this place to look at.
            participant.announcement.ask_to_settle();
        }
        path.participants.join(participant.clone());
        Self {
            active: UnsafeCell::new(Cache::new(Active(path.clone()))),
            path,
            participant,
            depth: Cell::new(0),
            entered: Cell::new(OUTSIDE),
            version: Cell::new(ptr::null()),
            sharing: Cell::new(0),
            alone: Cell::new(false),
        }
    }

    /// Enters the active version; false if there is none. A nested entry stays on the outer one's.
    #[inline]
    pub(super) fn enter(&self) -> bool {
        let depth = self.depth.get();
        if depth == 0 && !self.announce() {
            return false;
        }
        self.depth.set(depth + 1);
        true
    }

    #[inline]
    fn announce(&self) -> bool {
        // SAFETY: this is the cell's only user. At depth 0 nobody borrows from it, and nothing called below
        // comes back here: reloading the cache may drop an old `Version`, which owns data of the engine's and no
        // code that calls a module.
        let cache = unsafe { &mut *self.active.get() };
        let mut version = ptr::null();
        let entered = self.participant.announcement.enter(
            self.entered.get(),
            || match cache.load() {
                Some(active) => {
                    version = Arc::as_ptr(active);
                    active.serial
                }
                None => OUTSIDE,
            },
            &self.path.participants.bell,
        );
        self.entered.set(entered);
        self.version.set(version);
        entered != OUTSIDE
    }

    /// True if this thread is asked to settle what it owes.
    #[inline]
    pub(super) fn leave(&self) -> bool {
        let depth = self.depth.get() - 1;
        self.depth.set(depth);
        depth == 0 && self.participant.announcement.leave(&self.path.participants.bell)
    }

    /// The version this thread is inside.
    #[inline]
    pub(super) fn version(&self) -> &Version {
        debug_assert!(self.depth.get() > 0, "only a guard asks, and it has entered");
        // SAFETY: set by `enter`; the cache holds it, and is left alone until the last guard is gone.
        unsafe { &*self.version.get() }
    }

    #[inline]
    pub(super) fn path(&self) -> &CallPath {
        &self.path
    }

    /// Borrows the state that the version was made for, together with others.
    #[inline]
    pub(super) fn share(&self) -> Result<Shared<'_>, Barred> {
        if self.alone.get() {
            return Err(Barred::Reentrant);
        }
        let outer = self.sharing.get();
        if outer == 0 {
            let (generation, path) = (self.version().generation, &self.path);
            self.participant.announcement.borrow(&path.gate, generation, &path.participants.bell)?;
        }
        self.sharing.set(outer + 1);
        Ok(Shared { local: self })
    }

    /// Borrows the state that the version was made for, alone.
    pub(super) fn seclude(&self) -> Result<Alone<'_>, Barred> {
        if self.alone.get() || self.sharing.get() > 0 {
            return Err(Barred::Reentrant);
        }
        let (generation, path) = (self.version().generation, &self.path);
        let closed = path.gate.close_for(generation, &path.participants)?;
        self.participant.announcement.seclude();
        self.alone.set(true);
        Ok(Alone { local: self, closed })
    }

    /// Whether this thread has the state alone.
    pub(super) fn is_alone(&self) -> bool {
        self.alone.get()
    }

    /// Says which method this thread is in, for people who ask.
    #[inline]
    pub(super) fn note(&self, method: usize) -> Noted<'_> {
        let announcement = &self.participant.announcement;
        Noted { announcement, outer: announcement.note_method(method + 1) }
    }
}

/// A shared borrow of the state, for one call.
pub(super) struct Shared<'local> {
    local: &'local Local,
}

impl Drop for Shared<'_> {
    #[inline]
    fn drop(&mut self) {
        let outer = self.local.sharing.get() - 1;
        self.local.sharing.set(outer);
        if outer == 0 {
            self.local.participant.announcement.give_back(&self.local.path.participants.bell);
        }
    }
}

/// The exclusive borrow of the state, for one call.
pub(super) struct Alone<'local> {
    local: &'local Local,
    /// Opens the gate when it is dropped, which is after [`Alone`]'s own drop.
    closed: Closed<'local>,
}

impl Alone<'_> {
    /// The call has panicked, and may have left the state half changed.
    #[cold]
    pub(super) fn suspect(&mut self, suspicion: Suspicion) {
        let suspicions = &self.local.path.suspicions;
        suspicions.note(suspicion);
        if !suspicions.lets_in() {
            self.closed.suspect();
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.local.alone.set(false);
        self.local.participant.announcement.give_back(&self.local.path.participants.bell);
    }
}

/// While this lives, the engine has the state alone on this thread. A call that the thread makes meanwhile, in the
/// host's subscriber perhaps, is refused: it would wait for itself.
pub(super) struct Apart {
    path: Arc<CallPath>,
}

impl Apart {
    pub(super) fn new(path: &Arc<CallPath>) -> Self {
        set_alone(path, true);
        Self { path: path.clone() }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        set_alone(&self.path, false);
    }
}

/// Looks for this thread's side each time, since nothing keeps it: no guard need be alive.
fn set_alone(path: &Arc<CallPath>, is_alone: bool) {
    if let Some(local) = local(path) {
        // SAFETY: it was given just now.
        unsafe { local.as_ref() }.alone.set(is_alone);
    }
}

/// The note of which method a thread is in, for one call.
pub(super) struct Noted<'local> {
    announcement: &'local Announcement,
    outer: usize,
}

impl Drop for Noted<'_> {
    #[inline]
    fn drop(&mut self) {
        self.announcement.note_method(self.outer);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.path.participants.part(&self.participant);
    }
}

/// The thread's table. Indexed by the module's number; a module that this thread never called is null.
struct Locals(RefCell<Vec<*mut Local>>);

impl Drop for Locals {
    fn drop(&mut self) {
        self.end();
        owed::close();
    }
}

impl Locals {
    /// The thread ends. May be called again.
    fn end(&self) {
        LATEST.set(NONE);
        owed::end();
        let table = std::mem::take(&mut *self.0.borrow_mut());
        for local in table {
            // SAFETY: each was made by `Box::leak` in `register`, and is reached only through this table,
            // through `LATEST`, which was just cleared, or through guards. With a guard alive (kept in
            // another thread-local), it is left.
            unsafe {
                if !local.is_null() && (*local).depth.get() == 0 {
                    drop(Box::from_raw(local));
                }
            }
        }
    }
}

/// No module's number: they are counted from 0, and memory ends long before this.
const NONE: (usize, *mut Local) = (usize::MAX, ptr::null_mut());

thread_local! {
    static LOCALS: Locals = const { Locals(RefCell::new(Vec::new())) };
    /// The module that this thread called last. Without a destructor it is one load away, while the table
    /// asks each time whether it has been destroyed. What it points to is in the table.
    static LATEST: Cell<(usize, *mut Local)> = const { Cell::new(NONE) };
}

/// This thread's side of the module. Valid until the thread ends, and while it holds a guard.
///
/// `None` while the thread is ending and has run the table's destructor already.
#[inline]
pub(super) fn local(path: &Arc<CallPath>) -> Option<NonNull<Local>> {
    let (number, latest) = LATEST.get();
    if number == path.number { NonNull::new(latest) } else { find(path) }
}

#[cold]
fn find(path: &Arc<CallPath>) -> Option<NonNull<Local>> {
    LOCALS
        .try_with(|locals| {
            let known = locals.0.borrow().get(path.number).copied().unwrap_or(ptr::null_mut());
            let local = NonNull::new(known).unwrap_or_else(|| register(locals, path));
            LATEST.set((path.number, local.as_ptr()));
            local
        })
        .ok()
}

/// Sees to it that this thread's end comes to the table, unless it has come already.
///
/// By the destructor of the thread-local. But if that is first used when the thread is ending already, in the
/// destructor of a key's value, it isn't run any more; so there is a key too, with a value for this thread.
pub(super) fn prepare_end() {
    /// The system may refuse one. Then it's the thread-local alone.
    static KEY: LazyLock<Option<libc::pthread_key_t>> = LazyLock::new(|| {
        let mut key = 0;
        // SAFETY: `key` can be written to, and the destructor takes any value.
        (unsafe { libc::pthread_key_create(&raw mut key, Some(end)) } == 0).then_some(key)
    });

    extern "C" fn end(_: *mut c_void) {
        if LOCALS.try_with(Locals::end).is_err() {
            owed::end();
        }
    }

    // An error says that the end has come already.
    let _ = LOCALS.try_with(|_| ());
    if let Some(key) = *KEY {
        // SAFETY: the key was created and is never deleted.
        unsafe { libc::pthread_setspecific(key, ptr::without_provenance(1)) };
    }
}

/// Whether this thread is inside the version.
pub(super) fn is_inside(serial: usize) -> bool {
    let is_inside = |locals: &Locals| {
        let table = locals.0.borrow();
        // SAFETY: what the table holds is valid.
        let mut locals = table.iter().filter_map(|local| unsafe { local.as_ref() });
        locals.any(|local| local.depth.get() > 0 && local.entered.get() == serial)
    };
    LOCALS.try_with(is_inside).unwrap_or(false)
}

/// The method that this thread is in, of the version with this serial number; of nested calls the inner one.
pub(crate) fn method_in(serial: usize) -> Option<&'static str> {
    let method_in = |locals: &Locals| {
        let table = locals.0.try_borrow().ok()?;
        // SAFETY: what the table holds is valid.
        let mut inside = table
            .iter()
            .filter_map(|local| unsafe { local.as_ref() })
            .filter(|local| local.depth.get() > 0 && local.entered.get() == serial);
        let local = inside.next()?;
        let method = local.participant.announcement.method()?;
        Some(local.path.methods[method].name)
    };
    LOCALS.try_with(method_in).ok().flatten()
}

fn register(locals: &Locals, path: &Arc<CallPath>) -> NonNull<Local> {
    prepare_end();
    let mut table = locals.0.borrow_mut();
    // What it points to may be among what goes now.
    LATEST.set(NONE);
    // A module that has stopped is never entered again; what this thread kept of it can go.
    for other in table.iter_mut().filter(|other| !other.is_null()) {
        // SAFETY: as in the table's destructor; the reference is gone before the box is.
        unsafe {
            let idle = {
                let other = &**other;
                other.path.stopped.load(Ordering::Relaxed) && other.depth.get() == 0
            };
            if idle {
                drop(Box::from_raw(std::mem::replace(other, ptr::null_mut())));
            }
        }
    }
    if table.len() <= path.number {
        table.resize(path.number + 1, ptr::null_mut());
    }
    let local = NonNull::from(Box::leak(Box::new(Local::new(path.clone()))));
    table[path.number] = local.as_ptr();
    local
}
