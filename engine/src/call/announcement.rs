//! Announcements: each thread says, in its own cache line, which version it is inside and what it does there.
//!
//! Only its own thread writes a thread's announcement, but for one word ([`wanted`]) in which others say what
//! they want of the thread. So a call writes no line that another thread writes, as long as nobody waits.
//!
//! **Entering.** The thread announces the version that it takes to be published, passes the light barrier,
//! and looks which one is. If it is that one, the announcement holds; if not, it starts over with the other. Whoever
//! publishes stores the new version, passes the heavy barrier, and then reads the announcements. One of
//! the two sees the other: either the thread sees the new version and doesn't enter the old one, or the
//! publisher sees the thread announced in the old one and waits. It is the hazard pointer's handshake
//! (Michael, "Hazard Pointers: Safe Memory Reclamation for Lock-Free Objects", 2004), with whole
//! libraries for objects.
//!
//! **Borrowing the state** is the same handshake with the gate instead of the published version.
//!
//! **Leaving** clears the announced version and then looks at `wanted`; whoever waits sets `wanted` and then
//! looks at the announced version. Again one sees the other, so nobody waits for a thread that has left without
//! ringing.
//!
//! **Settling.** A thread that is asked to settle what it owes ([`owed`](super::owed)) sees that when it next
//! leaves. It stays asked until then: giving the state back answers only those who wait for the state.
//!
//! **The short way and the long way.** Most calls find all as it was at the thread's last one: nobody wants anything
//! of the thread, the same version is published, the gate is open. For these there are [`enter_again`] and
//! [`borrow_again`], which are a store and a load each, and leave all else to [`enter`] and [`borrow`]. Where the
//! kernel has no `membarrier`, the word `wanted` is never empty: so all take the long way, which has the fences. Nor is it
//! in a module that is of a [set](super::set), whose long way leads through that; so other modules pay nothing for sets.
//!
//! **Leaving shows in later stores too.** Whoever waits goes by what a thread *doesn't* say any more, and may read that
//! from any later store: that the thread is in another version, or in a call that doesn't borrow. What the thread did
//! before must have happened before all of these, so they are Releases. (The loom model can't show this: its light
//! barrier is a fence that releases too.)
//!
//! [`wanted`]: Announcement::wanted
//! [`enter`]: Announcement::enter
//! [`enter_again`]: Announcement::enter_again
//! [`borrow`]: Announcement::borrow
//! [`borrow_again`]: Announcement::borrow_again

use std::sync::Arc;

use super::barrier;
use super::bell::Bell;
use super::doing::Doing;
use super::gate::{Barred, Gate};
use super::sync::{AtomicBool, AtomicUsize, Ordering};

/// The serial number of no version: the thread is outside.
pub(crate) const OUTSIDE: usize = 0;

pub(crate) struct Announcement {
    /// The serial number of the version the thread is inside, or [`OUTSIDE`].
    version: AtomicUsize,
    /// What it [does](Doing) there. Whether it borrows the state is what the gate waits for; the method is for people
    /// to read, and for a hand-over, which doesn't rely on it.
    doing: AtomicUsize,
    /// What others want of the thread: [`RING`], [`SETTLE`], [`WATCH`]; and [`FENCE`], [`MEMBER`].
    wanted: AtomicUsize,
    // The rest is for the thread itself, and orders nothing. It stands here because the line is at hand.
    /// How many guards the thread holds beside its first one.
    nested: AtomicUsize,
    /// Whether a call of the thread has the state alone, or the engine has on this thread.
    alone: AtomicBool,
    /// Whether a call that shares the state may do so the short way: not if the thread has the state alone already, or
    /// if the light barrier doesn't suffice.
    shares_shortly: AtomicBool,
}

/// Somebody waits for the thread to leave or to give the state back.
const RING: usize = 1;
/// The thread owes destructors to a version that has retired.
const SETTLE: usize = 2;
/// Somebody wants to know whether the thread has left since. Orders nothing.
const WATCH: usize = 4;
/// The light barrier doesn't suffice here. Set from the beginning, and never taken away.
const FENCE: usize = 8;
/// The module is of a set, which has to be entered and left too. Set from the beginning, and never taken away.
const MEMBER: usize = 16;

impl Announcement {
    pub(crate) fn new() -> Self {
        let wanted = if barrier::is_asymmetric() { 0 } else { FENCE };
        Self {
            version: AtomicUsize::new(OUTSIDE),
            doing: AtomicUsize::new(Doing::NOTHING.to_word()),
            wanted: AtomicUsize::new(wanted),
            nested: AtomicUsize::new(0),
            alone: AtomicBool::new(false),
            shares_shortly: AtomicBool::new(wanted & FENCE == 0),
        }
    }

    /// In a module that is of a set: all take the long way in and out, which leads through the set.
    pub(crate) fn of_member() -> Self {
        let mut announcement = Self::new();
        announcement.wanted = AtomicUsize::new(MEMBER | if barrier::is_asymmetric() { 0 } else { FENCE });
        announcement
    }

    /// Begins to enter a version again that this thread has entered before. False if something is in the way, or if the
    /// thread is inside already; then [`enter`](Self::enter) is left to do. Else, if that version turns out to be
    /// published, the thread is inside; if not, it has to [turn back](Self::turn_back). A thread that hasn't entered any
    /// yet has none that could be published.
    #[inline(always)]
    pub(crate) fn enter_again(&self, version: usize) -> bool {
        // Relaxed: the one it wrote itself, and what is wanted of a thread outside is to be done when it leaves.
        if self.version.load(Ordering::Relaxed) | self.wanted.load(Ordering::Relaxed) != OUTSIDE {
            return false;
        }
        // Release: as `clear`, for whoever waits for another version.
        self.version.store(version, Ordering::Release);
        // Pairs with the heavy barrier in `CallPath::publish`. The light one does: `FENCE` isn't set.
        barrier::light();
        true
    }

    /// Enters the published version and returns its serial number; [`OUTSIDE`] if there is none.
    ///
    /// `guess` is the version that this thread entered last; it mostly still is the published one.
    /// `published` gives the serial number of the one that is published now.
    pub(crate) fn enter(
        &self,
        guess: usize,
        mut published: impl FnMut() -> usize,
        bell: &Arc<Bell>,
    ) -> usize {
        self.forget_watch();
        let mut version = if guess == OUTSIDE { published() } else { guess };
        while version != OUTSIDE {
            // Release: as `clear`, for whoever waits for another version.
            self.version.store(version, Ordering::Release);
            // Pairs with the heavy barrier in `CallPath::publish`.
            self.pass_barrier();
            let now = published();
            if now == version {
                return version;
            }
            self.turn_back(bell);
            version = now;
        }
        OUTSIDE
    }

    /// Enters a version that somebody keeps from being unmapped until this thread has left it again. So there is no need
    /// for it to be published. But `is_let_in` is asked: while a hand-over lets nobody in, this doesn't either. False if
    /// so, and the thread is outside again.
    pub(crate) fn enter_held(
        &self,
        version: usize,
        is_let_in: impl FnOnce() -> bool,
        bell: &Arc<Bell>,
    ) -> bool {
        self.forget_watch();
        // Release: as `clear`, for whoever waits for another version.
        self.version.store(version, Ordering::Release);
        // Pairs with the heavy barrier in `Gate::shut`, behind which a hand-over looks once more who is inside.
        self.pass_barrier();
        let is_let_in = is_let_in();
        if !is_let_in {
            self.turn_back(bell);
        }
        is_let_in
    }

    fn forget_watch(&self) {
        // Relaxed: whoever watched has looked at an earlier entry.
        if self.wanted.load(Ordering::Relaxed) & WATCH != 0 {
            self.wanted.fetch_and(!WATCH, Ordering::Relaxed);
        }
    }

    /// Leaves the version that was entered. True if somebody wants something of the thread, which it then has to
    /// [answer](Self::answer_outside).
    #[inline(always)]
    pub(crate) fn leave(&self) -> bool {
        self.clear();
        self.is_wanted()
    }

    /// Answers who waits for what has just been stored, when the thread has left. True if the thread is asked to settle
    /// what it owes.
    #[cold]
    pub(crate) fn answer_outside(&self, bell: &Arc<Bell>) -> bool {
        self.answer_to(RING | WATCH, bell);
        self.is_asked_to_settle()
    }

    #[inline(always)]
    fn clear(&self) {
        // Release: pairs with the Acquire load in `version`. All that the call did with the version's
        // code happens before whoever sees it gone unmaps it.
        self.version.store(OUTSIDE, Ordering::Release);
    }

    /// Is outside again, without having been inside.
    #[cold]
    pub(crate) fn turn_back(&self, bell: &Arc<Bell>) {
        self.clear();
        if self.is_wanted() {
            self.answer(bell);
        }
    }

    /// The light barrier, or what must stand for it.
    fn pass_barrier(&self) {
        if self.wanted.load(Ordering::Relaxed) & FENCE == 0 {
            barrier::light();
        } else {
            barrier::full();
        }
    }

    /// Begins to borrow the state, shared. If the gate then admits the thread, it does; if not, it has to
    /// [give back](Self::give_back) what it hasn't got.
    ///
    /// For a thread that was between two calls and [may do so](Self::shares_shortly).
    #[inline(always)]
    pub(crate) fn borrow_again(&self, doing: Doing) {
        // Relaxed: nobody goes on because a thread borrows.
        self.doing.store(doing.borrowing().to_word(), Ordering::Relaxed);
        // Pairs with the heavy barrier in `Gate::shut`.
        barrier::light();
    }

    /// Borrows the state of this generation, shared, for `doing`; waits while the gate is closed. `outer` is what the
    /// thread does until then. `before` is asked before each wait for the end of a call.
    pub(crate) fn borrow(
        &self,
        gate: &Gate,
        generation: usize,
        doing: Doing,
        outer: Doing,
        bell: &Arc<Bell>,
        mut before: impl FnMut() -> Result<(), Barred>,
    ) -> Result<(), Barred> {
        loop {
            self.doing.store(doing.borrowing().to_word(), Ordering::Relaxed);
            // Pairs with the heavy barrier in `Gate::shut`.
            self.pass_barrier();
            if gate.admits(generation) {
                return Ok(());
            }
            if self.give_back(outer) {
                self.answer(bell);
            }
            gate.wait_for(generation, &mut before)?;
        }
    }

    /// Says what the thread does, which doesn't change whether it borrows the state; or says that it has the state
    /// alone, which the closed gate has made so.
    #[inline(always)]
    pub(crate) fn say(&self, doing: Doing) {
        // Release: as `give_back`, for whoever waits at the gate and reads this instead.
        self.doing.store(doing.to_word(), Ordering::Release);
    }

    /// Gives the borrowed state back, and goes on with `outer`. True if somebody wants something of the thread, which it
    /// then has to [answer](Self::answer).
    #[inline(always)]
    pub(crate) fn give_back(&self, outer: Doing) -> bool {
        // Release: pairs with the Acquire load in `doing`. What the call read and wrote happens
        // before whoever then has the state alone.
        self.doing.store(outer.to_word(), Ordering::Release);
        self.is_wanted()
    }

    #[inline(always)]
    fn is_wanted(&self) -> bool {
        // Pairs with the heavy barrier between `expect` and the second look in `Participants::is_held`. Where the light
        // one doesn't suffice, the word isn't empty, and `answer_to` looks again behind a fence.
        barrier::light();
        self.wanted.load(Ordering::Relaxed) != 0
    }

    /// Answers who waits for what has just been stored.
    #[cold]
    pub(crate) fn answer(&self, bell: &Arc<Bell>) {
        self.answer_to(RING, bell);
    }

    fn answer_to(&self, wishes: usize, bell: &Arc<Bell>) {
        self.pass_barrier();
        if self.wanted.load(Ordering::Relaxed) & wishes == 0 {
            return;
        }
        // Acquire, so that a wish taken away here brings along what its owner did before it: the owner
        // closed its gate first, and this thread's next `borrow` must see that. Pairs with `expect`. (The
        // loom model can't show this: loom lets no store overtake another in one word's order.)
        if self.wanted.fetch_and(!wishes, Ordering::AcqRel) & RING != 0 {
            bell.ring();
        }
    }

    fn is_asked_to_settle(&self) -> bool {
        // Acquire: pairs with the Release in `ask_to_settle`. That the version has retired was noted first.
        let is_asked = self.wanted.load(Ordering::Relaxed) & SETTLE != 0;
        is_asked && self.wanted.fetch_and(!SETTLE, Ordering::AcqRel) & SETTLE != 0
    }

    /// Asks the thread to ring when it next leaves or gives back.
    pub(crate) fn expect(&self) {
        // Release: pairs with the Acquire in `answer_to`.
        self.wanted.fetch_or(RING, Ordering::Release);
    }

    /// Asks the thread to settle what it owes when it next leaves.
    pub(crate) fn ask_to_settle(&self) {
        // Release: pairs with the Acquire in `is_asked_to_settle`.
        self.wanted.fetch_or(SETTLE, Ordering::Release);
    }

    /// Whether the thread has been inside all the time since this was asked before.
    pub(crate) fn is_still_inside(&self) -> bool {
        // Relaxed: nothing is read or written on the strength of this.
        self.wanted.fetch_or(WATCH, Ordering::Relaxed) & WATCH != 0
    }

    /// Whether the thread is inside any version. For that thread itself.
    #[inline(always)]
    pub(crate) fn is_inside(&self) -> bool {
        // Relaxed: the thread reads what it wrote itself.
        self.version.load(Ordering::Relaxed) != OUTSIDE
    }

    /// One guard more than the first.
    pub(crate) fn nest(&self) {
        self.nested.store(self.nested.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// One guard less.
    pub(crate) fn unnest(&self) {
        self.nested.store(self.nested.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// Whether the thread holds more guards than one.
    #[inline(always)]
    pub(crate) fn is_nested(&self) -> bool {
        self.nested.load(Ordering::Relaxed) != 0
    }

    /// Whether the thread has the state alone.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    pub(crate) fn set_alone(&self, is_alone: bool) {
        self.alone.store(is_alone, Ordering::Relaxed);
        let is_fenced = self.wanted.load(Ordering::Relaxed) & FENCE != 0;
        self.shares_shortly.store(!is_alone && !is_fenced, Ordering::Relaxed);
    }

    /// Whether a call that shares the state may [do so the short way](Self::borrow_again).
    #[inline(always)]
    pub(crate) fn shares_shortly(&self) -> bool {
        self.shares_shortly.load(Ordering::Relaxed)
    }

    /// The version the thread is inside. Acquire: pairs with the Release stores of `clear`, `enter` and `enter_again`.
    pub(crate) fn version(&self) -> usize {
        self.version.load(Ordering::Acquire)
    }

    /// What the thread does inside. For that thread itself.
    #[inline(always)]
    pub(crate) fn own_doing(&self) -> Doing {
        // Relaxed: the thread reads what it wrote itself.
        Doing::of_word(self.doing.load(Ordering::Relaxed))
    }

    /// What the thread does inside. Acquire: pairs with the Release stores of `give_back` and `say`.
    pub(crate) fn doing(&self) -> Doing {
        Doing::of_word(self.doing.load(Ordering::Acquire))
    }
}

#[cfg(all(test, not(liveswap_loom)))]
mod tests {
    use super::super::gate::FIRST;
    use super::*;

    const DOING: Doing = Doing::calling(0);

    /// True if it's asked to settle.
    fn leaves(announcement: &Announcement, bell: &Arc<Bell>) -> bool {
        announcement.leave() && announcement.answer_outside(bell)
    }

    /// Otherwise a thread whose every call shares the state would never get to settle.
    #[test]
    fn a_thread_that_is_asked_to_settle_stays_asked_until_it_leaves() {
        let (announcement, gate, bell) = (Announcement::new(), Gate::new(), Arc::new(Bell::new()));
        announcement.enter(OUTSIDE, || 1, &bell);
        announcement.ask_to_settle();
        announcement.expect();
        announcement.borrow(&gate, FIRST, DOING, Doing::NOTHING, &bell, || Ok(())).unwrap();
        assert!(announcement.give_back(Doing::NOTHING));
        announcement.answer(&bell);
        assert_eq!(bell.rings(), 1, "who waits for the state is answered");
        assert!(leaves(&announcement, &bell));
    }

    #[test]
    fn a_thread_that_meets_another_version_on_its_way_in_stays_asked() {
        let (announcement, bell) = (Announcement::new(), Arc::new(Bell::new()));
        announcement.ask_to_settle();
        assert_eq!(announcement.enter(1, || 2, &bell), 2);
        assert!(leaves(&announcement, &bell));
        announcement.enter(2, || 2, &bell);
        assert!(!leaves(&announcement, &bell), "it is asked once");
    }

    #[test]
    fn who_has_left_and_come_back_was_not_inside_all_the_time() {
        let (announcement, bell) = (Announcement::new(), Arc::new(Bell::new()));
        announcement.enter(OUTSIDE, || 1, &bell);
        assert!(!announcement.is_still_inside(), "nobody has asked before");
        assert!(announcement.is_still_inside());
        announcement.borrow(&Gate::new(), FIRST, DOING, Doing::NOTHING, &bell, || Ok(())).unwrap();
        announcement.give_back(Doing::NOTHING);
        announcement.answer(&bell);
        assert!(announcement.is_still_inside());
        leaves(&announcement, &bell);
        announcement.enter(1, || 1, &bell);
        assert!(!announcement.is_still_inside());
    }
}
