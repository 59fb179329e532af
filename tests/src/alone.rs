//! A test in a process of its own: its memory is nobody else's, and if it crashes, that's seen as its failure.
//!
//! The test starts the program that it is part of once more, for itself alone, and tells it so by an environment
//! variable. What that process writes to standard error in lines that begin with [`REPORT`] is its report.

use std::any::type_name;
use std::env;
use std::process::{self, Command};
use std::thread;
use std::time::Duration;

/// Begins a line that is for who started the test.
pub const REPORT: &str = "report: ";

/// Its value is what the test was started for.
const PURPOSE: &str = "LIVESWAP_TEST_PURPOSE";

/// A time that only a fault can need: more than [`wait_until`](crate::wait_until) takes to fail.
const LIMIT: Duration = Duration::from_secs(120);

/// Does the whole of a test in a process of its own, which may not hang either. The test is the one that `run` is a
/// closure of.
#[track_caller]
pub fn check<R: FnOnce()>(run: R) {
    if purpose().is_none() {
        let test = name(type_name::<R>().trim_end_matches("::{{closure}}"));
        return start(test, "all of it").map_or_else(|failure| panic!("{failure}"), |_| ());
    }
    thread::spawn(|| {
        thread::sleep(LIMIT);
        eprintln!("it hangs");
        process::abort();
    });
    run();
    eprintln!("{REPORT}it has held");
}

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
    let output = command(test, purpose)
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

/// This program, to run one of its tests alone, for a purpose.
pub fn command(test: &str, purpose: &str) -> Command {
    let program = env::current_exe().expect("Linux knows what it runs");
    let mut command = Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env(PURPOSE, purpose);
    command
}

/// The name of a test by its path: that without the crate's.
pub fn name(path: &'static str) -> &'static str {
    path.split_once("::").map_or(path, |(_, name)| name)
}
