//! What the demo is made of, as its launcher builds it, once for each file of tests.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{fs, str};

use super::{Demo, NEWER, OLDER};

/// The server's program, and the two versions of its logic.
#[derive(Debug)]
pub struct Parts {
    /// The program.
    pub server: PathBuf,
    older: Vec<u8>,
    newer: Vec<u8>,
}

impl Parts {
    /// Has `cargo demo` build them, the first time, and takes them from the demo that then runs.
    pub fn get() -> &'static Self {
        static PARTS: OnceLock<Parts> = OnceLock::new();
        PARTS.get_or_init(|| {
            let demo = Demo::launch();
            let read = |name| fs::read(demo.candidate(name)).expect("the launcher lays out candidates");
            Self { server: demo.program(), older: read(OLDER), newer: read(NEWER) }
        })
    }

    /// Lays out both candidates, as the launcher does.
    pub(super) fn lay_out(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join(OLDER), &self.older)?;
        fs::write(folder.join(NEWER), &self.newer)
    }
}

/// The `liveswap` command's program, which cargo builds the first time.
pub fn command() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| program("liveswap-cli", "liveswap"))
}

/// A package's program, which cargo builds.
pub fn program(package: &str, name: &str) -> PathBuf {
    let output = cargo()
        .args(["build", "--quiet", "--message-format=json"])
        .args(["--package", package, "--bin", name])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "cargo can't build `{name}`");
    let messages = str::from_utf8(&output.stdout).expect("cargo prints UTF-8");
    messages.lines().find_map(executable).expect("cargo names the program that it built")
}

/// The cargo that runs these tests, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(workspace());
    // The cargo that runs these tests has set them for them. The build script of `ring` looks at them, and would have all
    // that depends on it built anew each time that they come and go.
    let of_package = ["NAME", "VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH", "VERSION_PRE"];
    for variable in of_package.map(|name| format!("CARGO_PKG_{name}")) {
        command.env_remove(variable);
    }
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_LINKS");
    command
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    folder.canonicalize().expect("the tests are part of a workspace")
}

fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    message["executable"].as_str().map(PathBuf::from)
}
