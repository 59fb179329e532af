//! The `liveswap` command: pushes to a running engine, and shows what it is doing.
//!
//! Every subcommand but `inspect` is one request to the engine's admin API, HTTP over a Unix socket. The
//! exit status is 0 only if what was asked for happened. If not, it is 1, and standard error has one line
//! `error[CODE]: MESSAGE`, where the code is the engine's or one of [`failure`]'s. A command line that
//! can't be understood ends with 2.
//!
//! [`client`] asks the engine ([`body`] is what it sends), [`report`] says in words what it answered.

mod body;
mod client;
mod failure;
mod report;

use std::ffi::OsString;
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
        stdout
            .write_all(printable(&text).as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(Failure::unprinted)
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
    let client = || match &admin {
        // A variable that is set but empty is as good as none.
        Some(socket) if !socket.is_empty() => Ok(Client::new(Path::new(socket))),
        _ => Err(Failure::no_admin_socket()),
    };
    Ok(match command {
        Command::Status { json: true } => format!("{}\n", client()?.status()?),
        Command::Status { json: false } => client::parse::<Status>(&client()?.status()?)?.to_string(),
        Command::Push { file, allow_older } => {
            format!("{}\n", client()?.push::<PushOutcome>(&file, allow_older)?)
        }
        Command::Rollback { module } => {
            format!("{}\n", client()?.command::<Published>("rollback", &module)?)
        }
        Command::Commit { module } => format!("{}\n", client()?.command::<Committed>("commit", &module)?),
        Command::Inspect { file, json } => inspect(&file, json)?,
    })
}

fn inspect(file: &Path, json: bool) -> Result<String, Failure> {
    let manifest = liveswap::inspect(file)?;
    if !json {
        return Ok(manifest.to_string());
    }
    Ok(serde_json::to_string(&manifest).expect("it has only texts and numbers") + "\n")
}

/// The text without what a terminal would obey: parts of it come from libraries that nobody trusts yet.
fn printable(text: &str) -> String {
    let harmless = |letter: char| letter == '\n' || !letter.is_control();
    text.chars().map(|letter| if harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect()
}
