//! What may not outlive a version is refused while compiling, with an error that says what to do instead.
//!
//! Each case under `compile_fail/` stands beside a twin of the same name and `_passes`, which reaches the
//! same end the right way, compiles and runs. The twin shows that it is the one thing that is refused,
//! and not something else in the case.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use liveswap_state::COMPILER;
use trybuild::TestCases;

/// The errors were recorded with this release. Another may word them otherwise.
const RECORDED_WITH: &str = "rustc 1.95.";

#[test]
fn refused_cases_say_what_to_do() {
    if !COMPILER.starts_with(RECORDED_WITH) {
        // Past the test runner, which shows what a passing test prints to nobody.
        let _ = writeln!(
            io::stderr(),
            "skipped the refused cases: their errors are those of {RECORDED_WITH}x, and this is {COMPILER}"
        );
        return;
    }
    let cases = TestCases::new();
    refused_cases().for_each(|case| cases.compile_fail(case));
}

#[test]
fn their_twins_pass() {
    let cases = TestCases::new();
    refused_cases().for_each(|case| cases.pass(twin(&case)));
}

#[test]
fn every_case_has_its_twin() {
    for case in refused_cases() {
        assert!(twin(&case).exists(), "no twin of {}", case.display());
    }
    assert_eq!(sources().count(), 2 * refused_cases().count(), "a twin without its case");
}

fn twin(case: &Path) -> PathBuf {
    let name = case.file_stem().expect("a source file has a name").to_string_lossy();
    case.with_file_name(format!("{name}_passes.rs"))
}

fn refused_cases() -> impl Iterator<Item = PathBuf> {
    sources().filter(|path| !path.to_string_lossy().ends_with("_passes.rs"))
}

/// All Rust files under `compile_fail/`, in the order of their names.
fn sources() -> impl Iterator<Item = PathBuf> {
    let mut sources: Vec<_> = entries(PathBuf::from("tests/compile_fail"))
        .flat_map(entries)
        .filter(|path| path.extension() == Some(OsStr::new("rs")))
        .collect();
    sources.sort();
    sources.into_iter()
}

fn entries(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("can't read {}: {error}", folder.display()))
        .map(|entry| entry.expect("can't read an entry of a folder").path())
}
