//! The shell example: a command shell whose commands are modules from a folder.
//!
//! The shell knows no command by name. It opens a folder to every module with the interface
//! [`Command`]: what lies there at the start is loaded, and what is put there later joins while the
//! shell runs, or replaces an older version of itself. A file that is refused keeps no other from being loaded.
//!
//! Two things of its own it has: `help` lists the commands, and `exit` ends it.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;

use liveswap::{Engine, ModuleError};
use shell_api::{Command, Outcome};

/// Reads lines from `input`, runs what they name, and writes to `output` what comes of it, until the input ends.
///
/// # Errors
///
/// If the engine can't be built on the folder, or input or output fails.
pub fn run(folder: &Path, input: impl BufRead, mut output: impl Write) -> Result<(), Box<dyn Error>> {
    let engine = Engine::builder().modules_from::<dyn Command>(folder).build()?;
    match engine.modules::<dyn Command>().len() {
        0 => writeln!(output, "No commands found")?,
        count => writeln!(output, "Loaded {count} command(s)...")?,
    }
    output.flush()?;
    for line in input.lines() {
        let line = line?;
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            None => {}
            Some("exit") => break,
            Some("help") => help(&engine, &mut output)?,
            Some(name) => writeln!(output, "{}", call(&engine, name, &words.collect::<Vec<_>>()))?,
        }
        output.flush()?;
    }
    Ok(())
}

fn help(engine: &Engine, output: &mut impl Write) -> Result<(), Box<dyn Error>> {
    for module in engine.modules::<dyn Command>() {
        writeln!(output, "{:<10} {}", module.name(), module.call(|command| command.about())?)?;
    }
    Ok(())
}

/// Runs a command. What it says no to is its own answer; that it could not be run is the shell's.
fn call(engine: &Engine, name: &str, arguments: &[String]) -> String {
    let command = match engine.module::<dyn Command>(name) {
        Ok(command) => command,
        Err(ModuleError::Unknown { .. }) => return format!("command not found: {name}"),
        Err(error) => return format!("{name}: failed to run: {error}"),
    };
    match command.call(|command| command.run(arguments)) {
        Ok(Outcome { output, status: 0 }) => output,
        Ok(Outcome { output, status }) => format!("{name}: said no ({status}): {output}"),
        Err(error) => format!("{name}: failed to run: {error}"),
    }
}
