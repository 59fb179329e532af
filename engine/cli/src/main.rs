//! The `liveswap` command: pushes to a running engine, and shows what it is doing.
//!
//! Every subcommand but `inspect` and `rehearse` is one request to the engine's admin API, HTTP over a Unix socket. The
//! exit status is 0 only if what was asked for happened. If not, it is 1, and the last line on standard error
//! is `error[CODE]: MESSAGE`, where the code is the engine's or one of [`failure`]'s. A command line that
//! can't be understood ends with 2.
//!
//! [`client`] asks the engine ([`body`] is what it sends), [`report`] says in words what it answered. A push or
//! a rollback may migrate the state, which can take its time: [`follow`] looks how far that is, and [`meter`]
//! shows it.

mod body;
mod client;
mod failure;
mod follow;
mod meter;
mod printable;
mod report;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

use client::{Allowed, Client};
use failure::Failure;
use meter::Meter;
use printable::printable;
use report::{Committed, Published, PushOutcome, Restored, Status, Taken, Trusted};

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
    /// Pushes a candidate, and waits until it serves or is refused, and until all of the state is migrated.
    Push {
        /// The candidate, such as `logic.v1002.so`.
        file: PathBuf,
        /// Allows a version that is older than the active one.
        #[arg(long)]
        allow_older: bool,
        /// Allows an upgrade that turns the state into what can't be turned back: there is no rollback from it.
        #[arg(long)]
        allow_one_way: bool,
        /// Has the candidate tried in a process of its own first, with a copy of the state and calls that were
        /// recorded.
        #[arg(long, conflicts_with = "no_rehearse")]
        rehearse: bool,
        /// Doesn't, though the host would.
        #[arg(long)]
        no_rehearse: bool,
        #[command(flatten)]
        following: Following,
    },
    /// Returns to the predecessor of a module's active version.
    Rollback {
        #[command(flatten)]
        module: Module,
        #[command(flatten)]
        following: Following,
    },
    /// Ends the probation of a module's active version.
    Commit(Module),
    /// Takes a snapshot of a module's state, and waits until it's on the disk.
    Snapshot(Module),
    /// Has the last snapshot take the place of a module's state. What has happened since is lost.
    Restore(Module),
    /// Lets calls back to a state that a panic may have left half changed, as it is.
    Trust(Module),
    /// Carries out a rehearsal, for a host that has laid it out in this folder.
    #[command(hide = true)]
    Rehearse {
        /// The folder.
        folder: PathBuf,
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

#[derive(Args)]
struct Module {
    /// The module.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    module: String,
}

/// How a migration of the state is followed.
#[derive(Args)]
struct Following {
    /// Returns when the version serves, though the rest of the state is still being migrated.
    #[arg(long)]
    no_wait: bool,
    /// Says nothing of how far the migration is.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            eprintln!("error[{code}]: {}", printable(&message).replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for, and prints what there is to print. Gives how the process is to end.
fn run(Arguments { admin, command }: Arguments) -> Result<ExitCode, Failure> {
    let client = || match &admin {
        // A variable that is set but empty is as good as none.
        Some(socket) if !socket.is_empty() => Ok(Client::new(Path::new(socket))),
        _ => Err(Failure::no_admin_socket()),
    };
    let done = match command {
        Command::Rehearse { folder } => return Ok(liveswap::rehearsal::run(folder)),
        Command::Status { json: true } => print_line(&client()?.status()?),
        Command::Status { json: false } => print(&client::parse::<Status>(&client()?.status()?)?.to_string()),
        Command::Push { file, allow_older, allow_one_way, rehearse, no_rehearse, following } => {
            let rehearsal = (rehearse || no_rehearse).then_some(rehearse);
            let allowed = Allowed { older: allow_older, one_way: allow_one_way, rehearsal };
            let client = client()?;
            let push = || client.push::<PushOutcome>(&file, allowed);
            swap(&client, &following, push, PushOutcome::published)
        }
        Command::Rollback { module: Module { module }, following } => {
            let client = client()?;
            swap(&client, &following, || client.command::<Published>("rollback", &module), |it| Some(it))
        }
        Command::Commit(Module { module }) => print_line(&client()?.command::<Committed>("commit", &module)?),
        Command::Snapshot(Module { module }) => {
            let taken: Taken = client()?.command("snapshot", &module)?;
            print_line(&format_args!("snapshot of {module}: {taken}"))
        }
        Command::Restore(Module { module }) => {
            print_line(&client()?.command::<Restored>("restore", &module)?)
        }
        Command::Trust(Module { module }) => print_line(&client()?.command::<Trusted>("trust", &module)?),
        Command::Inspect { file, json } => inspect(&file, json),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Has a swap done, says how it went, and follows the migration that goes with it, if there is one.
fn swap<T: Display>(
    client: &Client<'_>,
    following: &Following,
    command: impl FnOnce() -> Result<T, Failure>,
    published: impl FnOnce(&T) -> Option<&Published>,
) -> Result<(), Failure> {
    let mut meter = Meter::new(following.quiet);
    let outcome = follow::while_under_way(client, &mut meter, command)?;
    print_line(&outcome)?;
    let published = published(&outcome).filter(|_| !following.no_wait);
    if let Some((published, migrated)) = published.and_then(|it| Some((it, it.migrated.as_ref()?))) {
        let ending = follow::sweep(client, &mut meter, published, migrated)?;
        meter.say(&ending);
    }
    Ok(())
}

fn inspect(file: &Path, json: bool) -> Result<(), Failure> {
    let manifest = liveswap::inspect(file)?;
    if json {
        return print_line(&serde_json::to_string(&manifest).expect("it has only texts and numbers"));
    }
    print(&manifest.to_string())
}

fn print_line(text: &dyn Display) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(printable(text).as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::unprinted)
}
