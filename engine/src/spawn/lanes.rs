//! Lanes: what waits, by how much it matters, without leaving anything to wait for ever.
//!
//! The rule: the first of the highest lane goes next. But each time that it goes, the first of each lower lane has been
//! overtaken, and one that was overtaken [`OVERTAKEN_MAX`] times goes before all others.

use std::collections::VecDeque;

use liveswap_state::Lane;

/// How often the first of a lane is overtaken by what is in higher ones.
pub(super) const OVERTAKEN_MAX: u32 = 8;

/// Three queues.
pub(super) struct Lanes<T> {
    /// In the order of [`Lane::ALL`].
    queues: [Queue<T>; 3],
}

struct Queue<T> {
    waiting: VecDeque<T>,
    /// How often the first one was overtaken.
    overtaken: u32,
}

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self { queues: Lane::ALL.map(|_| Queue { waiting: VecDeque::new(), overtaken: 0 }) }
    }

    pub(super) fn push(&mut self, lane: Lane, waiting: T) {
        self.queues[lane as usize].waiting.push_back(waiting);
    }

    /// How many wait in a lane.
    pub(super) fn waiting(&self, lane: Lane) -> usize {
        self.queues[lane as usize].waiting.len()
    }

    /// What waits in a lane, the first one first.
    pub(super) fn iter(&self, lane: Lane) -> impl Iterator<Item = &T> {
        self.queues[lane as usize].waiting.iter()
    }

    /// What goes next.
    pub(super) fn pop(&mut self) -> Option<(Lane, T)> {
        let waits = |lane: &Lane| !self.queues[*lane as usize].waiting.is_empty();
        let overtaken = |lane: &Lane| self.queues[*lane as usize].overtaken;
        // Of two that were overtaken as often, the lower one: it has waited for longer.
        let due = Lane::ALL.into_iter().filter(waits).filter(|lane| overtaken(lane) >= OVERTAKEN_MAX);
        let lane = due.max_by_key(overtaken).or_else(|| Lane::ALL.into_iter().find(waits))?;
        let next = self.queues[lane as usize].waiting.pop_front()?;
        self.queues[lane as usize].overtaken = 0;
        for lower in &mut self.queues[lane as usize + 1..] {
            lower.overtaken += u32::from(!lower.waiting.is_empty());
        }
        Some((lane, next))
    }

    /// Takes out what `is_meant` says, the highest lane first. If the first of a lane goes, the next one hasn't been
    /// overtaken yet.
    pub(super) fn take_if(&mut self, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for queue in &mut self.queues {
            if queue.waiting.front().is_some_and(&is_meant) {
                queue.overtaken = 0;
            }
            let (meant, others) = std::mem::take(&mut queue.waiting).into_iter().partition(&is_meant);
            queue.waiting = others;
            taken.extend::<VecDeque<T>>(meant);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_goes_first_and_within_a_lane_the_first() {
        let mut lanes = Lanes::new();
        for (lane, number) in
            [(Lane::Low, 1), (Lane::Normal, 2), (Lane::High, 3), (Lane::Normal, 4), (Lane::High, 5)]
        {
            lanes.push(lane, number);
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).collect();
        let (high, normal) = (Lane::High, Lane::Normal);
        assert_eq!(order, [(high, 3), (high, 5), (normal, 2), (normal, 4), (Lane::Low, 1)]);
    }

    #[test]
    fn what_was_overtaken_eight_times_goes_next_and_then_its_lane_waits_again() {
        let mut lanes = Lanes::new();
        (0..20).for_each(|number| lanes.push(Lane::High, number));
        lanes.push(Lane::Low, 100);
        lanes.push(Lane::Low, 101);
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(_, number)| number).collect();
        let expected: Vec<_> = (0..8).chain([100]).chain(8..16).chain([101]).chain(16..20).collect();
        assert_eq!(order, expected);
    }

    #[test]
    fn what_is_taken_out_leaves_the_others_in_their_order() {
        let mut lanes = Lanes::new();
        for number in 0..6 {
            lanes.push(if number % 2 == 0 { Lane::High } else { Lane::Low }, number);
        }
        assert_eq!(lanes.pop(), Some((Lane::High, 0)));
        assert_eq!(lanes.take_if(|number| *number < 4), [2, 1, 3]);
        // 5 is the first now, and hasn't been overtaken when 1 was.
        (0..9).for_each(|number| lanes.push(Lane::High, 10 + number));
        let order: Vec<_> = std::iter::from_fn(|| lanes.pop()).map(|(_, number)| number).collect();
        assert_eq!(order, [4, 10, 11, 12, 13, 14, 15, 16, 5, 17, 18]);
        assert!(lanes.take_if(|_| true).is_empty());
    }

    proptest! {
        /// Whatever comes and goes: nothing is lost, and nothing is overtaken too often.
        #[test]
        fn nothing_waits_for_ever(steps in prop::collection::vec(0_usize..5, 0..400)) {
            let mut lanes = Lanes::new();
            // What waits in each lane, and how often the first one was overtaken.
            let mut model: [(VecDeque<usize>, u32); 3] = Default::default();
            for (number, step) in steps.into_iter().enumerate() {
                if let Some(lane) = Lane::ALL.get(step) {
                    lanes.push(*lane, number);
                    model[step].0.push_back(number);
                    continue;
                }
                let Some((lane, popped)) = lanes.pop() else {
                    prop_assert!(model.iter().all(|(waiting, _)| waiting.is_empty()));
                    continue;
                };
                prop_assert_eq!(model[lane as usize].0.pop_front(), Some(popped));
                model[lane as usize].1 = 0;
                for (waiting, overtaken) in &mut model[lane as usize + 1..] {
                    *overtaken += u32::from(!waiting.is_empty());
                    prop_assert!(*overtaken <= OVERTAKEN_MAX);
                }
            }
        }
    }
}
