//! The commands of the shell example, as fixtures: small modules of one interface.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::demo::{cargo, workspace};
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

/// The folder for what tests build beside what cargo has built for them.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The shell's own program, built like the fixtures.
///
/// # Panics
///
/// If it can't be built.
pub fn shell() -> PathBuf {
    let target = target().join("fixtures");
    let mut build = cargo();
    build.current_dir(workspace()).args(["build", "--quiet", "-p", "shell", "--target-dir"]).arg(&target);
    assert!(build.status().is_ok_and(|status| status.success()), "the shell can't be built");
    target.join("debug/shell")
}

/// Makes a folder that not everybody may write to, whatever this process's mask says.
pub fn make(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder can be made");
    fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it's this process's own");
}

/// Puts a file that not everybody may write to into a folder, in one step, so that it's noticed once.
pub fn put(folder: &Path, name: &str, content: &[u8]) {
    let fresh = folder.join("fresh");
    fs::write(&fresh, content).expect("the folder can be written");
    fs::set_permissions(&fresh, Permissions::from_mode(0o644)).expect("it's this process's own");
    fs::rename(&fresh, folder.join(name)).expect("a file can be renamed");
}
