//! A test in a process of its own: its memory is nobody else's, and if it crashes, that's seen as its failure.
//!
//! The test starts the program that it is part of once more, for itself alone, and tells it so by an environment
//! variable. What that process writes to standard error in lines that begin with [`REPORT`] is its report.

use std::env;
use std::process::Command;

/// Begins a line that is for who started the test.
pub const REPORT: &str = "report: ";

/// Its value is what the test was started for.
const PURPOSE: &str = "LIVESWAP_TEST_PURPOSE";

/// What this process was started for by [`start`]; none if it runs all its tests.
pub fn purpose() -> Option<String> {
    env::var(PURPOSE).ok()
}

/// Runs a test of this program alone, for a purpose. Gives its report.
///
/// # Errors
///
/// If the test fails, or its process ends in any other way: how, and what it wrote.
pub fn start(test: &str, purpose: &str) -> Result<String, String> {
    let program = env::current_exe().expect("Linux knows what it runs");
    let output = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(PURPOSE, purpose)
        // Whatever a library makes of a panic when backtraces are asked for, it does here.
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("this program can be run again");
    let written = String::from_utf8_lossy(&output.stderr);
    let report: Vec<_> = written.lines().filter_map(|line| line.strip_prefix(REPORT)).collect();
    if output.status.success() && !report.is_empty() {
        Ok(report.join("\n"))
    } else {
        Err(format!("{}\n{written}", output.status))
    }
}

/// The name of a test by its path: that without the crate's.
pub fn name(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}
