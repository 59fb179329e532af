//! The matrix: a fault at every moment of a swap, and every kind of bad input, with and without a change of the state's
//! shape, with and without a probation.
//!
//! Whatever happens, a push or a rollback ends in exactly one of two versions. After each cell the service answers, on
//! the version that the outcome says; the state is whole; the status tells the truth; the same swap works once the fault
//! is gone; and no file, no thread and no mapping is left.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cell`] | what the matrix is made of |
//! | [`fault`] | what is done at a moment |
//! | [`scene`] | a host for one cell, and what must hold in the end |
//! | [`killed`] | the cells in which the process is killed, and started again |
//! | [`rows`] | bad input, row by row |

mod cell;
mod fault;
mod killed;
mod rows;
mod scene;

use std::collections::BTreeMap;
use std::panic;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use cell::{Cell, Operation};
use fault::{Fault, INJECTED};
use liveswap_tests::alone;
use scene::Scene;

/// Before and after each of the eight steps of a push and after its publish; the same of a rollback's two.
const MOMENTS: usize = 17 + 5;

/// A disk that is full is so for the whole process, so one test runs at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    static QUIET: Once = Once::new();

    // Hundreds of panics that are meant would hide the one that isn't.
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(INJECTED) {
                usual(info);
            }
        }));
    });
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_fault_at_any_moment_leaves_one_of_two_versions() {
    let _one = one_at_a_time();
    let mut outcomes = BTreeMap::<String, u32>::new();
    let mut count = 0;
    for cell in Cell::all().filter(|cell| cell.fault != Fault::Kill) {
        let outcome = Scene::new(cell).run();
        *outcomes.entry(outcome).or_default() += 1;
        count += 1;
    }
    println!("{count} cells: {outcomes:?}");
    assert_eq!(count, MOMENTS * 5 * 4, "each fault at each moment, in four settings");
    // Both ends are reached, or the matrix shows nothing.
    assert!(
        outcomes["swapped"] > 0 && outcomes["withheld"] > 0 && outcomes["unwritable"] > 0,
        "{outcomes:?}"
    );
}

#[test]
fn a_process_that_is_killed_at_any_moment_starts_with_one_of_two_versions() {
    if let Some(number) = alone::purpose() {
        killed::be_killed(number.parse().expect("the number of a cell"));
    }
    let _one = one_at_a_time();
    let mut outcomes = BTreeMap::<String, u32>::new();
    let mut count = 0;
    for (number, cell) in Cell::all().enumerate().filter(|(_, cell)| cell.fault == Fault::Kill) {
        let version = killed::check(number, cell);
        let what = if cell.operation == Operation::Push { "pushed" } else { "rolled back" };
        *outcomes.entry(format!("{what}, then {version}")).or_default() += 1;
        count += 1;
    }
    println!("{count} cells: {outcomes:?}");
    assert_eq!(count, MOMENTS * 4, "each moment, in four settings");
}

#[test]
fn every_kind_of_bad_input_is_refused_with_a_reason() {
    let _one = one_at_a_time();
    println!("{} cells", rows::check());
}
