//! The `liveswap` command: pushes to a running engine, and shows what it is doing.
//!
//! Every subcommand but `inspect` is one request to the engine's admin API, HTTP over a Unix socket. The
//! exit status is 0 only if what was asked for happened. If not, it is 1, and standard error has one line
//! `error[CODE]: MESSAGE`, where the code is the engine's or one of [`failure`]'s. A command line that
//! can't be understood ends with 2.
//!
//! [`client`] asks the engine, [`report`] says in words what it answered.

mod client;
mod failure;
mod report;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};

use client::Client;
use failure::Failure;
use report::{Committed, Published, PushOutcome, Status};

/// Pushes new versions of logic into a running liveswap host, and shows what it is doing.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The host's admin socket.
    #[arg(long, global = true, env = "LIVESWAP_ADMIN", value_name = "SOCK")]
    admin: Option<OsString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what is loaded, who is inside, and what has happened.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Pushes a candidate, and waits until it serves or is refused.
    Push {
        /// The candidate, such as `logic.v1002.so`.
        file: PathBuf,
        /// Allows a version that is older than the active one.
        #[arg(long)]
        allow_older: bool,
    },
    /// Returns to the predecessor of a module's active version.
    Rollback {
        /// The module.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        module: String,
    },
    /// Ends the probation of a module's active version.
    Commit {
        /// The module.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        module: String,
    },
    /// Shows a library's manifest, without loading it and without a host.
    Inspect {
        /// The library.
        file: PathBuf,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let outcome = run(Arguments::parse()).and_then(|text| {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(printable(&text).as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::unprinted)
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("error[{code}]: {}", printable(&message).replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for, and gives what there is to print.
fn run(Arguments { admin, command }: Arguments) -> Result<String, Failure> {
    // A variable that is set but empty is the usual way to unset one.
    let client = || match &admin {
        Some(socket) if !socket.is_empty() => Ok(Client::new(Path::new(socket))),
        _ => Err(Failure::no_admin_socket()),
    };
    match command {
        Command::Status { json: true } => client()?.get("/status").map(|answer| answer + "\n"),
        Command::Status { json: false } => client()?.get("/status").and_then(|answer| client::parse::<Status>(&answer)).map(|status| status.to_string()),
        Command::Push { file, allow_older } => {
            let client = client()?;
            let outcome: PushOutcome = client.push(&file, allow_older)?;
            Ok(format!("{outcome}\n"))
        }
        Command::Rollback { module } => {
            let published: Published = client()?.command("rollback", &module)?;
            Ok(format!("{published}\n"))
        }
        Command::Commit { module } => {
            let Committed { module, version } = client()?.command("commit", &module)?;
            Ok(format!("{module} {version} is committed\n"))
        }
        Command::Inspect { file, json } => {
            let manifest = liveswap::inspect(file)?;
            if json { Ok(serde_json::to_string(&manifest)? + "\n") } else { Ok(manifest.to_string()) }
        }
    }
}
