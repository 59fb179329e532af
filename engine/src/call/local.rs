//! A thread's own side of a module: its participant, and the version that it entered last.
//!
//! Each thread keeps one [`Local`] per module it calls, in a thread-local table indexed by the module's
//! number. A `Local` stays where it is until its thread ends; while a guard lives, not even then. The table's
//! destructor is also how the engine hears that a thread ends, whoever has started it.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use super::CallPath;
use super::announcement::{Announcement, OUTSIDE};
use super::meter::Tallying;
use super::owed;
use super::participants::Participant;
use super::set::{Membership, Pin};
use super::version::Version;

pub(super) struct Local {
    path: Arc<CallPath>,
    participant: Arc<Participant>,
    /// The version this thread entered last. It stays until the thread enters another one.
    kept: RefCell<Option<Arc<Version>>>,
    /// Its serial number.
    entered: Cell<usize>,
    /// Its address, or [`NO_VERSION`].
    version: Cell<NonNull<Version>>,
    /// This thread's side of the set that the module is of, if it's of one.
    pin: Option<Rc<Pin>>,
    /// Whether it has pinned this thread when that entered last. A lease lets a thread in without.
    is_pinned: Cell<bool>,
    /// What it notes of the version it entered last, if that has a meter.
    pub(super) tallying: Tallying,
}

/// Equal to no version's address.
const NO_VERSION: NonNull<Version> = NonNull::dangling();

impl Local {
    /// `pin` is this thread's side of the module's set.
    fn new(path: Arc<CallPath>, pin: Option<Rc<Pin>>) -> Self {
        let thread = owed::this_thread();
        let participant = match &pin {
            None => Participant::new(thread.clone()),
            Some(_) => Participant::of_member(thread.clone()),
        };
        let participant = Arc::new(participant);
        thread.join(&participant);
        if owed::owes() {
            // It may have been asked before it had this place to look at.
            participant.announcement.ask_to_settle();
        }
        path.participants.join(participant.clone());
        Self {
            path,
            participant,
            kept: RefCell::new(None),
            entered: Cell::new(OUTSIDE),
            version: Cell::new(NO_VERSION),
            pin,
            is_pinned: Cell::new(false),
            tallying: Tallying::default(),
        }
    }

    #[inline(always)]
    pub(super) fn announcement(&self) -> &Announcement {
        &self.participant.announcement
    }

    #[inline(always)]
    pub(super) fn path(&self) -> &CallPath {
        &self.path
    }

    fn pin(&self) -> Option<&Pin> {
        self.pin.as_deref()
    }

    /// The thread has left the module, and leaves its set if it has entered through that. True if it's asked to settle
    /// what it owes.
    pub(super) fn leave_set(&self) -> bool {
        self.pin().is_some_and(|pin| self.is_pinned.get() && pin.leave())
    }

    /// Whether there is no use in waiting at the door: for a thread that has the state alone, or keeps others out of the
    /// set, or is pinned to a generation of it, which won't have another version tomorrow.
    pub(super) fn is_kept_out(&self) -> bool {
        self.announcement().is_alone() || self.pin().is_some_and(Pin::is_kept_out)
    }

    pub(super) fn shared_path(&self) -> &Arc<CallPath> {
        &self.path
    }

    pub(super) fn thread_id(&self) -> i32 {
        self.participant.thread_id()
    }

    /// Enters the published version; none if there isn't one. A nested entry stays on the outer one's.
    ///
    /// What is returned is valid as long as the thread is inside. `path` is this side's own; who calls this has it at
    /// hand.
    #[inline(always)]
    pub(super) fn enter(&self, path: &CallPath) -> Option<NonNull<Version>> {
        let version = self.version.get();
        let is_announced = self.announcement().enter_again(self.entered.get());
        if is_announced && path.published.is(version) {
            Some(version)
        } else {
            self.enter_slowly(is_announced)
        }
    }

    #[cold]
    fn enter_slowly(&self, is_announced: bool) -> Option<NonNull<Version>> {
        let (announcement, bell) = (self.announcement(), &self.path.participants.bell);
        if is_announced {
            announcement.turn_back(bell);
        } else if announcement.is_inside() {
            announcement.nest();
            return Some(self.version.get());
        }
        if let (Some(pin), Some(membership)) = (self.pin(), &self.path.membership) {
            return self.enter_pinned(pin, membership);
        }
        // Dropping the version before runs no code but the engine's own, so nothing comes back here meanwhile.
        let mut kept = self.kept.borrow_mut();
        let published = || {
            *kept = self.path.published.get();
            kept.as_ref().map_or(OUTSIDE, |version| version.serial)
        };
        let entered = announcement.enter(self.entered.get(), published, bell);
        let version = kept.as_ref().map(|version| NonNull::from(&**version));
        self.entered.set(entered);
        self.version.set(version.unwrap_or(NO_VERSION));
        version
    }

    /// Enters the version that the set's generation has for this module: the one that this thread is pinned to, or the
    /// published one, to which it then is.
    fn enter_pinned(&self, pin: &Pin, membership: &Membership) -> Option<NonNull<Version>> {
        if !pin.enter() {
            return None;
        }
        let Some(version) = pin.look(membership, |version| self.keep(version)) else {
            pin.turn_back();
            return None;
        };
        // No other could be published for this thread: it's pinned.
        let serial = self.entered.get();
        self.announcement().enter(serial, || serial, &self.path.participants.bell);
        self.is_pinned.set(true);
        Some(version)
    }
}

impl Local {
    /// Whether this thread can enter the version of a lease: not if it's inside another one, which it couldn't announce
    /// meanwhile.
    pub(super) fn allows(&self, leased: &Version) -> bool {
        if self.announcement().is_inside() {
            return self.entered.get() == leased.serial;
        }
        let membership = self.pin().zip(self.path.membership.as_ref());
        membership.is_none_or(|(pin, membership)| pin.allows(membership, leased.serial))
    }

    /// Enters the version of a lease that [it can enter](Self::allows), and that holds it until this thread has left. None
    /// while a hand-over lets nobody in, unless the thread goes past the door.
    ///
    /// In a set nobody is kept out, since nobody who comes by a lease could go on to another member from here.
    pub(super) fn enter_leased(&self, leased: &Arc<Version>, is_past_door: bool) -> Option<NonNull<Version>> {
        let announcement = self.announcement();
        if announcement.is_inside() {
            announcement.nest();
            return Some(self.version.get());
        }
        self.is_pinned.set(false);
        let version = self.keep(leased);
        let path = self.path();
        let is_let_in = || is_past_door || path.membership.is_some() || path.published.is_any();
        announcement.enter_held(leased.serial, is_let_in, &path.participants.bell).then_some(version)
    }

    /// Keeps a version that this thread is about to enter, and gives its address.
    fn keep(&self, version: &Arc<Version>) -> NonNull<Version> {
        let address = NonNull::from(&**version);
        if address != self.version.get() {
            // As in `enter_slowly`.
            *self.kept.borrow_mut() = Some(version.clone());
            self.entered.set(version.serial);
            self.version.set(address);
        }
        address
    }

    /// The version that this thread is inside of.
    pub(super) fn kept(&self) -> Arc<Version> {
        self.kept.borrow().clone().expect("a thread that is inside keeps its version")
    }
}

/// While this lives, holders are told under a name of the host's what this thread does in a module.
pub(crate) struct Labelled {
    // Not the thread's own side of the module: that may go once the thread is outside.
    participant: Arc<Participant>,
    /// What it was before.
    outer: Option<Arc<str>>,
}

impl Labelled {
    /// None on a thread that is ending, which can't enter anyhow.
    pub(crate) fn new(path: &Arc<CallPath>, label: &Arc<str>) -> Option<Self> {
        let local = local(path)?;
        // SAFETY: it was given just now.
        let participant = unsafe { local.as_ref() }.participant.clone();
        let outer = participant.relabel(Some(label.clone()));
        Some(Self { participant, outer })
    }
}

impl Drop for Labelled {
    fn drop(&mut self) {
        self.participant.relabel(self.outer.take());
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
        unsafe { local.as_ref() }.announcement().set_alone(is_alone);
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
        // Again: a destructor that has run just now may have called a module.
        LATEST.set(NONE);
        let table = std::mem::take(&mut *self.0.borrow_mut());
        for local in table {
            // SAFETY: each was made by `Box::leak` in `register`, and is reached only through this table,
            // through `LATEST`, which was just cleared, or through guards. With a guard alive (kept in
            // another thread-local), it is left.
            unsafe {
                if !local.is_null() && !(*local).announcement().is_inside() {
                    drop(Box::from_raw(local));
                }
            }
        }
    }
}

/// No module's call path, and nothing of it.
const NONE: (*const CallPath, NonNull<Local>) = (ptr::null(), NonNull::dangling());

thread_local! {
    static LOCALS: Locals = const { Locals(RefCell::new(Vec::new())) };
    /// The module that this thread called last. Without a destructor it is one load away, while the table
    /// asks each time whether it has been destroyed. What it points to is in the table, and holds the call path, whose
    /// address therefore isn't another module's.
    static LATEST: Cell<(*const CallPath, NonNull<Local>)> = const { Cell::new(NONE) };
}

/// This thread's side of the module. Valid until the thread ends, and while it holds a guard.
///
/// `None` while the thread is ending and has run the table's destructor already.
#[inline(always)]
pub(super) fn local(path: &Arc<CallPath>) -> Option<NonNull<Local>> {
    let (latest, local) = LATEST.get();
    if latest == Arc::as_ptr(path) { Some(local) } else { find(path) }
}

#[cold]
fn find(path: &Arc<CallPath>) -> Option<NonNull<Local>> {
    LOCALS
        .try_with(|locals| {
            let known = locals.0.borrow().get(path.number()).copied().unwrap_or(ptr::null_mut());
            let local = NonNull::new(known).unwrap_or_else(|| register(locals, path));
            LATEST.set((Arc::as_ptr(path), local));
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

/// Whether this thread borrows the state of a module beside this one.
pub(super) fn borrows_beside(path: &CallPath) -> bool {
    let borrows = |locals: &Locals| {
        let table = locals.0.borrow();
        // SAFETY: what the table holds is valid.
        let mut others = table.iter().filter_map(|local| unsafe { local.as_ref() });
        others.any(|local| {
            local.path.number() != path.number() && local.announcement().own_doing().is_borrowing()
        })
    };
    LOCALS.try_with(borrows).unwrap_or(false)
}

/// Whether this thread is inside the version, or may enter it because of the generation of a set that it's pinned to.
pub(super) fn is_inside(serial: usize) -> bool {
    let is_inside = |locals: &Locals| {
        let table = locals.0.borrow();
        // SAFETY: what the table holds is valid.
        let mut locals = table.iter().filter_map(|local| unsafe { local.as_ref() });
        locals.any(|local| {
            let is_inside = local.announcement().is_inside() && local.entered.get() == serial;
            is_inside || local.pin().is_some_and(|pin| pin.is_to(serial))
        })
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
            .filter(|local| local.announcement().is_inside() && local.entered.get() == serial);
        let local = inside.next()?;
        let method = local.announcement().own_doing().method()?;
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
                other.path.stopped.load(Ordering::Relaxed) && !other.announcement().is_inside()
            };
            if idle {
                drop(Box::from_raw(std::mem::replace(other, ptr::null_mut())));
            }
        }
    }
    if table.len() <= path.number() {
        table.resize(path.number() + 1, ptr::null_mut());
    }
    let pin = path.membership.as_ref().map(|membership| pin_of(membership, &table));
    let local = NonNull::from(Box::leak(Box::new(Local::new(path.clone(), pin))));
    table[path.number()] = local.as_ptr();
    local
}

/// This thread's side of the set: the one that its sides of other members have, or a new one.
fn pin_of(membership: &Membership, table: &[*mut Local]) -> Rc<Pin> {
    let set = membership.set();
    // SAFETY: what the table holds is valid.
    let mut pins = table.iter().filter_map(|local| unsafe { local.as_ref() }?.pin.as_ref());
    let known = pins.find(|pin| pin.is_of(set));
    known.cloned().unwrap_or_else(|| Rc::new(Pin::new(set.clone())))
}
