//! The schedule, at times that are made up.

use proptest::prelude::*;

use super::*;

/// A schedule of one module that has begun, and the time at its beginning.
fn begun(max: usize) -> (Schedule<&'static str>, usize, Instant) {
    let (mut schedule, now) = (Schedule::new(max, 100), Instant::now());
    let module = schedule.add_module();
    assert!(schedule.begin(module, now));
    (schedule, module, now)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_timer_is_due_at_its_time_and_not_before_it() {
    let (mut schedule, module, now) = begun(9);
    let late = schedule.set(module, now + 2 * SECOND, "late");
    let soon = schedule.set(module, now + SECOND, "soon");
    assert_eq!((late, soon, schedule.next()), (100, 101, Some(now + SECOND)));
    assert_eq!(schedule.take_due(now), []);
    assert_eq!(schedule.take_due(now + SECOND), [Due::Timer(soon)]);
    assert_eq!(schedule.take_due(now + SECOND), []);
    assert_eq!(schedule.next(), Some(now + 2 * SECOND));
    assert_eq!(schedule.kept(soon), Some(&"soon"));
    assert_eq!(schedule.start(soon), Some("soon"));
    assert_eq!((schedule.start(soon), schedule.timers(module)), (None, 1));
}

#[test]
fn nothing_is_due_before_its_module_has_begun() {
    let (mut schedule, _, now) = begun(9);
    let second = schedule.add_module();
    let timer = schedule.set(second, now, "early");
    let tick = schedule.add_tick(second, SECOND, now);
    assert_eq!((schedule.next(), schedule.take_due(now + 9 * SECOND)), (None, vec![]));

    assert!(schedule.begin(second, now + 10 * SECOND));
    assert!(!schedule.begin(second, now + 20 * SECOND));
    assert_eq!(schedule.take_due(now + 10 * SECOND), [Due::Timer(timer)]);
    assert_eq!(schedule.next(), Some(now + 11 * SECOND));
    assert_eq!(schedule.take_due(now + 11 * SECOND), [Due::Tick(tick)]);
}

#[test]
fn a_timer_that_was_called_off_is_never_due() {
    let (mut schedule, module, now) = begun(1);
    let stranger = schedule.add_module();
    let timer = schedule.set(module, now + SECOND, "never");
    assert!(!schedule.has_room(module) && schedule.has_room(stranger));
    assert_eq!(schedule.cancel(stranger, timer), None);
    assert_eq!(schedule.cancel(module, timer), Some("never"));
    assert_eq!(schedule.cancel(module, timer), None);
    assert!(schedule.has_room(module));
    assert_eq!((schedule.next(), schedule.take_due(now + SECOND)), (None, vec![]));
}

#[test]
fn one_that_is_called_off_while_it_waits_for_a_thread_keeps_its_place_until_it_would_begin() {
    let (mut schedule, module, now) = begun(1);
    let timer = schedule.set(module, now, "never");
    assert_eq!(schedule.take_due(now), [Due::Timer(timer)]);
    assert_eq!(schedule.cancel(module, timer), Some("never"));
    assert_eq!((schedule.cancel(module, timer), schedule.has_room(module)), (None, false));
    assert_eq!((schedule.start(timer), schedule.has_room(module)), (None, true));
}

#[test]
fn what_can_not_be_handed_over_is_due_again() {
    let (mut schedule, module, now) = begun(9);
    let (kept, gone) = (schedule.set(module, now, "kept"), schedule.set(module, now, "gone"));
    let tick = schedule.add_tick(module, SECOND, now);
    let due = schedule.take_due(now + SECOND);
    assert_eq!(due, [Due::Timer(kept), Due::Timer(gone), Due::Tick(tick)]);
    assert_eq!(schedule.cancel(module, gone), Some("gone"));
    due.into_iter().for_each(|due| schedule.defer(due, now + 2 * SECOND));
    assert_eq!(schedule.timers(module), 1);
    assert_eq!(schedule.take_due(now + 2 * SECOND), [Due::Timer(kept), Due::Tick(tick)]);
    assert_eq!(schedule.cancel(module, kept), Some("kept"));
    let counts = schedule.ticks().next().map(|tick| tick.counts);
    assert_eq!(counts, Some(TickCounts { begun: 0, failed: 0, skipped: 1 }));
}

#[test]
fn a_tick_that_is_still_under_way_is_skipped_and_the_next_ones_stay_in_step() {
    let (mut schedule, module, now) = begun(9);
    let tick = schedule.add_tick(module, SECOND, now);
    let at = |schedule: &mut Schedule<_>, tenths: u32| schedule.take_due(now + tenths * SECOND / 10);
    assert_eq!(at(&mut schedule, 12), [Due::Tick(tick)]);
    schedule.start_tick(tick);
    assert_eq!(at(&mut schedule, 19), []);
    // 2 s and 3 s: skipped.
    assert_eq!(at(&mut schedule, 20), []);
    assert_eq!(at(&mut schedule, 31), []);
    schedule.end_tick(tick, true);
    assert_eq!(at(&mut schedule, 39), []);
    assert_eq!(at(&mut schedule, 41), [Due::Tick(tick)]);
    schedule.start_tick(tick);
    schedule.end_tick(tick, false);
    // Five of them at once are one, and it goes on from there.
    assert_eq!(at(&mut schedule, 101), [Due::Tick(tick)]);
    assert_eq!(schedule.next(), Some(now + SECOND / 10 * 111));
    let counts = schedule.ticks().next().map(|tick| tick.counts);
    assert_eq!(counts, Some(TickCounts { begun: 2, failed: 1, skipped: 2 }));
}

#[test]
fn what_is_closed_gives_all_back_and_has_nothing_due() {
    let (mut schedule, module, now) = begun(9);
    schedule.set(module, now, "due");
    schedule.set(module, now + SECOND, "set");
    let off = schedule.set(module, now, "off");
    schedule.add_tick(module, SECOND, now);
    schedule.take_due(now);
    schedule.cancel(module, off);
    assert_eq!(schedule.close(), ["due", "set"]);
    assert_eq!((schedule.next(), schedule.timers(module)), (None, 0));
    assert_eq!(schedule.start(off), None);
}

#[test]
fn a_module_that_is_removed_takes_its_own_along_and_nothing_of_the_others() {
    let (mut schedule, module, now) = begun(9);
    let other = schedule.add_module();
    schedule.begin(other, now);
    let (due, set) = (schedule.set(module, now, "due"), schedule.set(module, now + SECOND, "set"));
    let kept = schedule.set(other, now + SECOND, "kept");
    let off = schedule.set(module, now, "off");
    let (gone, stays) =
        (schedule.add_tick(module, SECOND / 2, now), schedule.add_tick(other, 2 * SECOND, now));
    assert_eq!(schedule.take_due(now + SECOND / 2), [Due::Timer(due), Due::Timer(off), Due::Tick(gone)]);
    schedule.cancel(module, off);
    schedule.start_tick(gone);
    assert_eq!(schedule.remove_module(module), (vec!["due", "set"], vec![gone]));

    // What was due already, or under way, finds nothing any more.
    assert_eq!((schedule.start(due), schedule.start(off), schedule.cancel(module, set)), (None, None, None));
    schedule.defer(Due::Tick(gone), now);
    schedule.end_tick(gone, true);
    assert!(!schedule.has_room(module) && !schedule.begin(module, now) && schedule.timers(module) == 0);
    assert_eq!(schedule.take_due(now + 2 * SECOND), [Due::Timer(kept), Due::Tick(stays)]);

    // The next one has a number of its own.
    let next = schedule.add_module();
    assert!(next != module && next != other && !schedule.begin(next + 1, now));
    assert_ne!(schedule.add_tick(next, SECOND, now), gone);
    assert_eq!(schedule.next(), Some(now + 4 * SECOND));
}

proptest! {
    /// Whatever is set and called off, in whichever order: each timer begins once or is called off once, never before
    /// its time, and the count is right.
    #[test]
    fn each_timer_ends_once(steps in prop::collection::vec((0_u8..4, 0_u32..20), 0..200)) {
        let (mut schedule, module, mut now) = {
            let (mut schedule, now) = (Schedule::<Instant>::new(8, 1), Instant::now());
            let module = schedule.add_module();
            schedule.begin(module, now);
            (schedule, module, now)
        };
        let (mut open, mut due) = (BTreeSet::new(), Vec::new());
        for (step, number) in steps {
            match step {
                0 if schedule.has_room(module) => {
                    let at = now + number * SECOND;
                    prop_assert!(open.insert(schedule.set(module, at, at)));
                }
                1 => {
                    let timer = u64::from(number);
                    prop_assert_eq!(schedule.cancel(module, timer).is_some(), open.remove(&timer));
                }
                2 => {
                    now += number * SECOND / 4;
                    due.extend(schedule.take_due(now));
                }
                _ => for timer in due.drain(..) {
                    let Due::Timer(timer) = timer else { unreachable!("there are no ticks") };
                    let begins = schedule.start(timer);
                    prop_assert!(begins.is_none_or(|at| at <= now));
                    prop_assert_eq!(begins.is_some(), open.remove(&timer));
                }
            }
            prop_assert!(schedule.timers(module) >= open.len() && schedule.timers(module) <= 8);
        }
    }
}
