//! Building, with the cargo that started this program.

use std::env;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use serde::Deserialize;
use thiserror::Error;

/// The package that is built into a version.
const LOGIC: &str = "demo-logic";
/// The package, and the program in it, that serves.
const SERVER: &str = "demo-server";
/// The workspace of both.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Which version of the logic to build.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    Older,
    Newer,
}

/// What was built.
pub(crate) struct Built {
    /// The library of the logic.
    pub(crate) logic: PathBuf,
    /// The server's program.
    pub(crate) server: PathBuf,
}

/// Why nothing was built.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error("can't open {WORKSPACE}: {0}")]
    Workspace(io::Error),
    #[error("can't run cargo: {0}")]
    Cargo(io::Error),
    #[error("can't read what cargo built: {0}")]
    Messages(#[from] serde_json::Error),
    #[error("the build failed: {0}")]
    Failed(ExitStatus),
    #[error("cargo didn't say where it put {0}")]
    NothingBuilt(&'static str),
}

/// Keeps other launchers waiting. Cargo builds both versions to the same path, so a library has to be taken
/// from there before anybody builds the other one.
pub(crate) fn lock() -> Result<File, BuildError> {
    let file = File::open(WORKSPACE).map_err(BuildError::Workspace)?;
    file.lock().map_err(BuildError::Workspace)?;
    Ok(file)
}

/// Builds one version of the logic, and the server.
pub(crate) fn build(version: Version) -> Result<Built, BuildError> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The server is part of both builds, so that both choose the same features of the packages that the two
    // share, and each of those is compiled once.
    command.args(["build", "--message-format=json-render-diagnostics", "--manifest-path", WORKSPACE]);
    command.args(["--package", LOGIC, "--package", SERVER, "--lib", "--bin", SERVER]);
    if let Version::Newer = version {
        command.args(["--features", "demo-logic/v1002"]);
    }
    let mut cargo = command.stdout(Stdio::piped()).spawn().map_err(BuildError::Cargo)?;
    let messages = BufReader::new(cargo.stdout.take().expect("the output is piped"));
    let artifacts = serde_json::Deserializer::from_reader(messages)
        .into_iter::<Message>()
        .filter_map(|message| match message {
            Ok(Message::Artifact(artifact)) => Some(Ok(artifact)),
            Ok(Message::Other) => None,
            Err(error) => Some(Err(error)),
        })
        .collect::<Result<Vec<_>, _>>();
    let status = cargo.wait().map_err(BuildError::Cargo)?;
    if !status.success() {
        return Err(BuildError::Failed(status));
    }
    let (mut logic, mut server) = (None, None);
    for Artifact { target, filenames, executable } in artifacts? {
        if target.kind == ["cdylib"] && target.name == LOGIC.replace('-', "_") {
            logic = filenames.into_iter().next();
        } else if target.kind == ["bin"] && target.name == SERVER {
            server = executable;
        }
    }
    Ok(Built {
        logic: logic.ok_or(BuildError::NothingBuilt(LOGIC))?,
        server: server.ok_or(BuildError::NothingBuilt(SERVER))?,
    })
}

/// One of cargo's messages, as far as it is of interest here.
#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    target: Target,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}
