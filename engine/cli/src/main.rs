//! The `liveswap` command: pushes to a running engine, and shows what it is doing.
//!
//! Every subcommand but `inspect`, `token` and `rehearse` is one request to the engine's admin API, HTTP over a Unix
//! socket, or over the network with TLS and a token. The exit status is 0 only if what was asked for happened. If not,
//! it is 1, and the last line on standard error is `error[CODE]: MESSAGE`, where the code is the engine's or one of
//! [`failure`]'s. A command line that can't be understood ends with 2. A push whose verdict was waited for, and was to
//! roll it back, ends with 3.
//!
//! [`place`] is where the engine is, [`network`] gets in there over the network, [`mod@token`] makes what that needs.
//! [`client`] asks the engine ([`body`] is what it sends), [`report`] says in words what it answered. A push or
//! a rollback may migrate the state, which can take its time: [`follow`] looks how far that is, and [`meter`]
//! shows it.

mod body;
mod client;
mod failure;
mod follow;
mod meter;
mod network;
mod place;
mod printable;
mod report;
mod token;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};

use client::{Allowed, Client};
use failure::Failure;
use meter::Meter;
use place::Place;
use printable::printable;
use report::{Committed, Published, PushOutcome, Registry, Restored, SetPushed, Status, Taken, Trusted};
use token::{Role, Token};

/// Pushes new versions of logic into a running liveswap host, and shows what it is doing.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The host's admin socket, or `https://HOST:PORT`.
    #[arg(long, global = true, env = "LIVESWAP_ADMIN", value_name = "SOCK")]
    admin: Option<OsString>,
    /// The file with the token, over the network. Without it, LIVESWAP_TOKEN has the token.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The certificate that the host is known by over the network, or one that it's signed with, as PEM.
    #[arg(long, global = true, env = "LIVESWAP_CERTIFICATE", value_name = "FILE")]
    certificate: Option<PathBuf>,
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
    /// Shows the modules, their versions, and what those export.
    Registry {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Pushes a candidate, or those of a set as one, and waits until they serve or are refused, and until all of the
    /// state is migrated.
    Push {
        /// The candidate, such as `logic.v1002.so`; of a set, one for each module that is to change.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The set that the candidates are of: they serve as one, or none does.
        #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        set: Option<String>,
        /// The candidate's signature, as `minisign -S` writes it; FILE.minisig, if there is one, unless given.
        #[arg(long, value_name = "SIGNATURE", conflicts_with = "set")]
        signature: Option<PathBuf>,
        /// Allows a version that is older than the active one.
        #[arg(long)]
        allow_older: bool,
        /// Allows an upgrade that turns the state into what can't be turned back: there is no rollback from it.
        #[arg(long)]
        allow_one_way: bool,
        /// Replaces the version that serves even if it vetoes that. The record of the swap says so.
        #[arg(long)]
        force: bool,
        /// Waits for the end of the version's probation, too: the exit status is 3 if it's rolled back.
        #[arg(long, conflicts_with = "no_wait")]
        wait: bool,
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
    /// Makes a token for the admin API over the network, and the line for the host's file of tokens.
    Token {
        /// What it's called in the host's logs.
        #[arg(value_parser = token::parse_name)]
        name: String,
        /// What it allows.
        #[arg(long)]
        role: Role,
    },
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
        Err(Failure { code, message, status }) => {
            eprintln!("error[{code}]: {}", printable(&message).replace('\n', " "));
            ExitCode::from(status)
        }
    }
}

/// Does what was asked for, and prints what there is to print. Gives how the process is to end.
fn run(Arguments { admin, token_file, certificate, command }: Arguments) -> Result<ExitCode, Failure> {
    // A variable that is set but empty is as good as none.
    let (admin, certificate) =
        (admin.filter(|place| !place.is_empty()), certificate.filter(|file| !file.as_os_str().is_empty()));
    let place = admin
        .ok_or_else(Failure::no_admin_socket)
        .and_then(|place| Place::new(&place, token_file.as_deref(), certificate.as_deref()));
    let client = || place.as_ref().map(Client::new).map_err(Failure::clone);
    let done = match command {
        Command::Rehearse { folder } => return Ok(liveswap::rehearsal::run(folder)),
        Command::Status { json: true } => print_line(&client()?.status()?),
        Command::Status { json: false } => print(&client::parse::<Status>(&client()?.status()?)?.to_string()),
        Command::Registry { json: true } => print_line(&client()?.registry()?),
        Command::Registry { json: false } => {
            print(&client::parse::<Registry>(&client()?.registry()?)?.to_string())
        }
        Command::Push {
            files,
            set,
            signature,
            allow_older,
            allow_one_way,
            force,
            wait,
            rehearse,
            no_rehearse,
            following,
        } => {
            let rehearsal = (rehearse || no_rehearse).then_some(rehearse);
            let allowed = Allowed { older: allow_older, one_way: allow_one_way, forced: force, rehearsal };
            let client = client()?;
            let signatures = files.iter().map(|file| signature_of(file, signature.as_deref()));
            let signatures = signatures.collect::<Result<Vec<_>, _>>()?;
            let push = || match &set {
                Some(set) => {
                    let files: Vec<_> = files.iter().map(PathBuf::as_path).zip(signatures).collect();
                    client.push_set::<SetPushed>(set, &files, allowed)
                }
                None => match &files[..] {
                    [file] => client
                        .push::<PushOutcome>(file, signatures[0].as_deref(), allowed)
                        .map(SetPushed::of_one),
                    files => Err(Failure::no_set(files.len())),
                },
            };
            let before = if wait { Some(follow::verdicts(&client)?) } else { None };
            let outcome = swap(&client, &following, push, SetPushed::published)?;
            // What is one has one probation.
            match before.zip(outcome.published().into_iter().next()) {
                Some((before, published)) => print_line(&follow::probation(&client, published, &before)?),
                None => Ok(()),
            }
        }
        Command::Rollback { module: Module { module }, following } => {
            let client = client()?;
            let rollback = || client.command::<Published>("rollback", &module);
            swap(&client, &following, rollback, |it| vec![it]).map(drop)
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
        Command::Token { name, role } => print_line(&Token::new(&name, role)?),
        Command::Inspect { file, json } => inspect(&file, json),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// The content of a candidate's signature, if there is one: the one that was named, or the one beside the candidate.
fn signature_of(candidate: &Path, named: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = named else { return Ok(liveswap::signature_beside(candidate)?) };
    match liveswap::read_signature(file)? {
        Some(signature) => Ok(Some(signature)),
        None => Err(Failure::unreadable(file, &ErrorKind::NotFound.into())),
    }
}

/// Has a swap done, says how it went, and follows the migration that goes with it, if there is one.
fn swap<T: Display>(
    client: &Client<'_>,
    following: &Following,
    command: impl FnOnce() -> Result<T, Failure>,
    published: impl FnOnce(&T) -> Vec<&Published>,
) -> Result<T, Failure> {
    let mut meter = Meter::new(following.quiet);
    let outcome = follow::while_under_way(client, &mut meter, command)?;
    print_line(&outcome)?;
    let published = published(&outcome).into_iter().filter(|_| !following.no_wait);
    for (published, migrated) in published.filter_map(|it| Some((it, it.migrated.as_ref()?))) {
        let ending = follow::sweep(client, &mut meter, published, migrated)?;
        meter.say(&ending);
    }
    Ok(outcome)
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
