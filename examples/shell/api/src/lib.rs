//! The shell example: what a command is. Shell and commands link this crate, and nothing else of each other's.

use liveswap_state::{State, interface};

/// How a command has ended that did run. One that could not be run has no outcome: its call is an error.
#[derive(Clone, Debug, PartialEq, Eq, State)]
pub struct Outcome {
    /// What it has to say.
    pub output: String,
    /// 0 if it did what was asked; else it says no, each command with numbers of its own.
    pub status: i32,
}

impl Outcome {
    /// It did what was asked.
    pub fn done(output: impl Into<String>) -> Self {
        Self { output: output.into(), status: 0 }
    }

    /// It says no.
    pub fn refused(status: i32, output: impl Into<String>) -> Self {
        Self { output: output.into(), status }
    }
}

/// A command of the shell's. Each is a module of its own, and its name is the module's.
#[interface]
pub trait Command {
    /// What it does, in a line.
    fn about() -> String;
    /// Runs it.
    fn run(&self, arguments: &[String]) -> Outcome;
}
