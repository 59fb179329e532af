//! `shell FOLDER`: reads commands from standard input, and runs those that lie in the folder.

use std::env;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("usage: shell FOLDER");
        return ExitCode::from(2);
    };
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    match shell::run(folder.as_ref(), io::stdin().lock(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
