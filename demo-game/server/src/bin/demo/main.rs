//! `cargo demo`: builds the server and both versions of its logic, lays out the demo's folder with the
//! older version active, says what to do next, and becomes the server.

mod build;
mod lay_out;

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Parser;
use demo_server::arguments::Arguments;
use demo_server::folders::Folders;
use thiserror::Error;

/// Why the demo didn't start.
#[derive(Debug, Error)]
enum LaunchError {
    #[error(transparent)]
    Build(#[from] build::BuildError),
    #[error("can't lay out {folder}: {source}")]
    LayOut { folder: String, source: io::Error },
    #[error("can't run {program}: {source}")]
    Run { program: String, source: io::Error },
}

fn main() -> ExitCode {
    let Err(error) = launch(&Arguments::parse());
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Returns only if the demo couldn't start: otherwise this process has become the server.
fn launch(arguments: &Arguments) -> Result<Infallible, LaunchError> {
    let folders = Folders::new(&arguments.dir);
    let server = {
        let _alone = build::lock()?;
        let older = build::build(build::Version::Older)?;
        lay_out::start_with(&folders, &older.logic).map_err(in_folder(&folders))?;
        let newer = build::build(build::Version::Newer)?;
        lay_out::add_candidate(&folders, lay_out::NEWER, &newer.logic).map_err(in_folder(&folders))?;
        newer.server
    };
    eprint!("{}", what_to_do(arguments, &folders));
    // In place of this process, so that signals reach the server itself.
    let source = Command::new(&server)
        .arg("--port")
        .arg(arguments.port.to_string())
        .arg("--dir")
        .arg(&arguments.dir)
        .exec();
    Err(LaunchError::Run { program: server.display().to_string(), source })
}

fn in_folder(folders: &Folders) -> impl FnOnce(io::Error) -> LaunchError {
    let folder = folders.root().display().to_string();
    move |source| LaunchError::LayOut { folder, source }
}

fn what_to_do(arguments: &Arguments, folders: &Folders) -> String {
    let (port, port_remark) = match arguments.port {
        0 => ("PORT".to_owned(), " PORT is the one in the line below."),
        port => (port.to_string(), ""),
    };
    let url = format!("http://127.0.0.1:{port}");
    let show = |path: &Path| path.display().to_string();
    let (modules, socket) = (show(&folders.modules()), show(&folders.admin_socket()));
    let newer = show(&folders.candidates().join(lay_out::NEWER));
    let snapshots = show(&folders.snapshots());
    let first = if folders.has_snapshot() {
        "The game goes on in a moment, with the version that can."
    } else {
        "Version 1001 of the game will serve in a moment."
    };
    let liveswap = format!("cargo run --quiet --package liveswap-cli -- --admin {socket}");
    format!(
        "
{first} From another terminal, in this folder:

  curl '{url}/hello'                   # which version answers?
  curl -X POST '{url}/hit?n=3'         # change the state
  curl -X POST '{url}/join?name=ada'   # add a player to it
  curl '{url}/players'

Upgrade it while it runs, in any of three ways, and ask again. The new version keeps the players in another shape:

  cp {newer} {modules}/
  {liveswap} push {newer}
  curl '{url}/load?name={name}'

Then look at both versions, or return to the older one:

  {liveswap} status
  {liveswap} rollback logic

To watch a migration, have many join before it:

  curl -X POST '{url}/join?name=bot&n=100000'

Ctrl-C ends it. The next start goes on from there; without {snapshots}, it begins anew.{port_remark}

",
        name = lay_out::NEWER,
    )
}
