//! What the matrix is made of: each fault, at each moment of each kind of swap.

use liveswap::SwapStep;

use crate::fault::Fault;

/// What is done when the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Push,
    RollBack,
}

/// One cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) step: SwapStep,
    /// After the step, and not before it.
    pub(crate) is_done: bool,
    pub(crate) fault: Fault,
    /// The two versions keep the state in different shapes.
    pub(crate) changes: bool,
    /// The module has a policy for versions on probation.
    pub(crate) probation: bool,
}

impl Cell {
    /// All of them, always in the same order.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let operations = [Operation::Push, Operation::RollBack].into_iter();
        let moments = operations.flat_map(|operation| {
            let steps = SwapStep::ALL.into_iter().filter(move |step| operation.takes(*step));
            steps.flat_map(move |step| [(operation, step, false), (operation, step, true)])
        });
        // Nobody is asked before a publish: it can't fail.
        let moments = moments.filter(|(_, step, is_done)| *is_done || *step != SwapStep::Publish);
        moments.flat_map(|(operation, step, is_done)| {
            let states = [false, true].into_iter().flat_map(|changes| [(changes, false), (changes, true)]);
            states.flat_map(move |(changes, probation)| {
                Fault::ALL.into_iter().map(move |fault| Self {
                    operation,
                    step,
                    is_done,
                    fault,
                    changes,
                    probation,
                })
            })
        })
    }

    /// Whether a caller has to wait at this moment: nobody is let in between the two.
    pub(crate) fn holds_calls_up(&self) -> bool {
        self.changes && self.step == SwapStep::HandOver && self.is_done
    }
}

impl Operation {
    fn takes(self, step: SwapStep) -> bool {
        match self {
            Self::Push => step != SwapStep::Commit,
            // The predecessor is in the other slot: only the state has steps to take.
            Self::RollBack => matches!(step, SwapStep::Check | SwapStep::HandOver | SwapStep::Publish),
        }
    }
}
