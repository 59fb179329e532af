//! The example of two modules: the host. It serves what lies in a folder until Ctrl-C or SIGTERM.
//!
//! `net` requires `chain`: so `chain` is initialized and started first, and stopped last.

use std::error::Error;
use std::ffi::OsString;
use std::process::ExitCode;

use chain_net_api::{Chain, Net};
use liveswap::{Engine, Registration};

fn chain() -> Registration {
    Registration::of::<dyn Chain>("chain")
}

fn net() -> Registration {
    Registration::of::<dyn Net>("net").requires(chain)
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: chain-net-server FOLDER, which has the modules, such as chain.v0.1.0.so");
        return ExitCode::FAILURE;
    };
    match run(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: OsString) -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().register(net()).watch(folder).end_on_signals().build()?;
    engine.wait_for_end()?;
    drop(engine);
    println!("exited cleanly");
    Ok(())
}
