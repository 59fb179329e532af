//! `demo-server`: serves the demo until Ctrl-C or SIGTERM.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use demo_server::arguments::Arguments;
use demo_server::server;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).init();
    match server::run(&arguments) {
        Ok(()) => {
            // If nobody listens any more, the exit status still says it.
            let _ = server::say("exited cleanly");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
