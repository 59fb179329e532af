//! Sets: who is pinned to a generation may enter all that is in it, and nobody else gets in the way.
//!
//! A generation has one version of each member, with the generation's own number. As in the rest of the model, the cell
//! with the published generation and a thread's own side ([`Pin`](super::super::set::Pin)) are stood in for.

use super::*;

/// How many members the set has.
const MEMBERS: usize = 2;

struct SetModel {
    /// What `Published` has of the generation: its address, and itself.
    address: AtomicUsize,
    published: AtomicUsize,
    /// The members' libraries, in each generation.
    mapped: [[UnsafeCell<bool>; MEMBERS]; 3],
    /// The members' states.
    states: [UnsafeCell<usize>; MEMBERS],
    door: Door,
    pins: Participants,
    members: [Participants; MEMBERS],
    bell: Arc<Bell>,
}

// SAFETY: that the cells are shared safely is what the model checks; loom watches each access.
unsafe impl Sync for SetModel {}
// SAFETY: as above.
unsafe impl Send for SetModel {}

/// A thread, with its sides of the set and of the members.
struct Caller {
    pin: Arc<Participant>,
    sides: [Arc<Participant>; MEMBERS],
}

impl SetModel {
    fn new() -> (Arc<Self>, Caller) {
        let bell = Arc::new(Bell::new());
        let mapped = |is_mapped| [UnsafeCell::new(is_mapped), UnsafeCell::new(is_mapped)];
        let model = Arc::new(Self {
            address: AtomicUsize::new(OLD),
            published: AtomicUsize::new(OLD),
            mapped: [mapped(false), mapped(true), mapped(true)],
            states: [UnsafeCell::new(0), UnsafeCell::new(0)],
            door: Door::new(),
            pins: Participants::new(bell.clone()),
            members: [Participants::new(bell.clone()), Participants::new(bell.clone())],
            bell,
        });
        let thread = Arc::new(Thread::new(0));
        let pin = Arc::new(Participant::new(thread.clone()));
        let sides = [0, 1].map(|_| Arc::new(Participant::of_member(thread.clone())));
        model.pins.join(pin.clone());
        for (member, side) in model.members.iter().zip(&sides) {
            member.join(side.clone());
        }
        (model, Caller { pin, sides })
    }

    /// As `Pin::enter` and `Local::enter_pinned` do. Gives the generation, or [`OUTSIDE`].
    fn enter(&self, caller: &Caller, place: usize, guess: usize) -> usize {
        let entered = self.enter_once(caller, place, guess);
        entered.or_else(|| self.door.enter(|| self.enter_once(caller, place, guess))).unwrap_or(OUTSIDE)
    }

    fn enter_once(&self, caller: &Caller, place: usize, guess: usize) -> Option<usize> {
        let generation = self.pin(&caller.pin, guess)?;
        caller.sides[place].announcement.enter(generation, || generation, &self.bell);
        Some(generation)
    }

    fn pin(&self, pin: &Participant, guess: usize) -> Option<usize> {
        let announcement = &pin.announcement;
        if announcement.is_inside() {
            announcement.nest();
            return Some(announcement.version());
        }
        if announcement.enter_again(guess) {
            if self.address.load(Ordering::Relaxed) == guess {
                return Some(guess);
            }
            announcement.turn_back(&self.bell);
        }
        let entered = announcement.enter(guess, || self.published.load(Ordering::Acquire), &self.bell);
        (entered != OUTSIDE).then_some(entered)
    }

    /// As `Inside::leave` and `Pin::leave` do.
    fn leave(&self, caller: &Caller, place: usize) {
        let (side, pin) = (&caller.sides[place].announcement, &caller.pin.announcement);
        assert!(side.leave(), "a member takes the long way out");
        side.answer_outside(&self.bell);
        if pin.is_nested() {
            pin.unnest();
        } else if pin.leave() {
            pin.answer_outside(&self.bell);
        }
    }

    /// One call, by who is inside: its code must be mapped, and its state is read.
    fn call(&self, place: usize, generation: usize) -> usize {
        // SAFETY: loom checks that nobody writes the cell meanwhile.
        assert!(self.mapped[generation][place].with(|mapped| unsafe { *mapped }));
        // SAFETY: as above.
        self.states[place].with(|state| unsafe { *state })
    }

    /// As `Published::set` does.
    fn set(&self, generation: usize) {
        self.address.store(generation, Ordering::Relaxed);
        self.published.store(generation, Ordering::Release);
        barrier::heavy();
    }

    /// What the reaper does for a member's version: wait until nobody is inside or pinned to a generation with it.
    fn unmap(&self, place: usize, generation: usize) {
        let is_there = |thread: &Participant| thread.announcement.version() == generation;
        loop {
            let rings = self.bell.rings();
            if !self.members[place].is_held(is_there) && !self.pins.is_held(is_there) {
                break;
            }
            self.bell.wait(rings, None);
        }
        // SAFETY: loom checks that nobody reads the cell meanwhile.
        self.mapped[generation][place].with_mut(|mapped| unsafe { *mapped = false });
    }

    /// What a hand-over of a member does: shuts the set, turns the state, publishes the next generation.
    fn hand_over(&self, place: usize) {
        self.door.close();
        self.set(OUTSIDE);
        self.pins.wait_until_free(|thread| thread.announcement.version() != OUTSIDE);
        // SAFETY: loom checks that nobody reads the cell meanwhile.
        self.states[place].with_mut(|state| unsafe { *state = NEW });
        self.set(NEW);
        self.door.open();
    }
}

#[test]
fn what_a_pinned_thread_may_enter_stays_mapped_while_it_hops() {
    check(|| {
        let (model, caller) = SetModel::new();
        let calling = thread::spawn({
            let model = model.clone();
            move || {
                let generation = model.enter(&caller, 0, OLD);
                assert_eq!(model.enter(&caller, 1, OLD), generation, "old and new are mixed");
                // In the order in which they came.
                model.leave(&caller, 0);
                model.call(1, generation);
                assert_eq!(model.enter(&caller, 0, OLD), generation, "old and new are mixed");
                model.leave(&caller, 1);
                model.call(0, generation);
                model.leave(&caller, 0);
            }
        });
        model.set(NEW);
        model.unmap(0, OLD);
        model.unmap(1, OLD);
        calling.join().unwrap();
    });
}

#[test]
fn nobody_who_is_in_another_member_meets_a_state_on_its_way() {
    check(|| {
        let (model, caller) = SetModel::new();
        let calling = thread::spawn({
            let model = model.clone();
            move || {
                let generation = model.enter(&caller, 0, OLD);
                assert_eq!(model.enter(&caller, 1, OLD), generation, "old and new are mixed");
                let expected = if generation == OLD { 0 } else { NEW };
                assert_eq!(model.call(1, generation), expected);
                model.leave(&caller, 1);
                model.leave(&caller, 0);
            }
        });
        model.hand_over(1);
        calling.join().unwrap();
    });
}
