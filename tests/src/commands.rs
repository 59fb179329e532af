//! The commands of the shell example, as fixtures: small modules of one interface.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Fixture, Patched};

/// The library of a command, in version 1.
///
/// # Panics
///
/// If there is no such command.
pub fn command(name: &str) -> PathBuf {
    let package = match name {
        "count" => "shell-count",
        "divide" => "shell-divide",
        "echo" => "shell-echo",
        "upper" => "shell-upper",
        other => panic!("there is no command `{other}`"),
    };
    Fixture::package(package, "1").build()
}

/// The same as another version.
pub fn command_as(name: &str, version: &str) -> Patched {
    Patched::of(command(name)).version(version)
}

/// Puts a file into a folder in one step, so that it's noticed once.
pub fn put(folder: &Path, name: &str, content: &[u8]) {
    let fresh = folder.join("fresh");
    fs::write(&fresh, content).expect("the folder can be written");
    fs::rename(&fresh, folder.join(name)).expect("a file can be renamed");
}
