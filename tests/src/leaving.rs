//! Whether an old version leaves memory, whatever its code did: many swaps, and between them calls on threads
//! that live as long as the process.
//!
//! A [`Row`] does one thing over and over, and each of its runs has a process of its own. [`storm`] swaps under
//! callers that never pause. In the usual test run both are short, and then the growth of memory is shown but
//! not judged: a few pages would decide. `ci/table` runs them at full length.

mod callers;
mod row;
mod storm;
mod swapper;

use std::env;

use crate::{alone, maps};

pub use row::Row;
pub use storm::storm;

/// From this many swaps on, growth of memory is told from noise.
const JUDGED_FROM: usize = 500;

/// How often memory is looked at to say how much is in use.
const LOOKS: usize = 20;

/// The memory in use, in bytes: the least that was seen after each of a few `steps`. An allocator gives freed
/// memory back when it sees fit, so that one look may show some megabytes more; no look shows less.
fn resident(mut step: impl FnMut()) -> usize {
    let looks = (0..LOOKS).map(|_| {
        step();
        maps::resident()
    });
    looks.min().expect("there are looks")
}

/// Runs a test alone, and shows its report.
///
/// # Errors
///
/// What is to be said of the test's failure.
fn report(test: &str, purpose: &str) -> Result<(), String> {
    match alone::start(test, purpose) {
        Ok(report) => {
            println!("{report}");
            Ok(())
        }
        Err(failure) => Err(format!("{test}, {purpose}: {failure}")),
    }
}

/// A number from the environment.
fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |value| {
        value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{value}`"))
    })
}
