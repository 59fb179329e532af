//! A child process whose words are collected, and which doesn't outlive its test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// A child process. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// A file and no pipe, so that a child that logs much never waits for its reader.
    stderr: NamedTempFile,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let stderr = NamedTempFile::new().expect("a temporary file can be made");
        let log = stderr.reopen().expect("a temporary file can be opened");
        let child = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("can't start {command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdout, stderr }
    }

    /// The process.
    pub fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a line to its standard input, which has to be a pipe.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("its input is a pipe");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("it listens");
    }

    /// The next line on its standard output. Waits as long as the process lives, which may be building.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the output can be read");
        assert!(line.ends_with('\n'), "it ended without a word:\n{}", self.log());
        line.trim_end().to_owned()
    }

    /// All else that it says on its standard output, up to its end.
    pub fn rest_of_output(&mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("the output can be read");
        rest
    }

    /// What it has said on its standard error so far.
    pub fn log(&self) -> String {
        let mut log = Vec::new();
        let file = File::open(self.stderr.path()).expect("the file is there");
        BufReader::new(file).read_to_end(&mut log).expect("the file can be read");
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).expect("the process lives");
    }

    /// Waits for its end, which comes with the end of its input if that is a pipe.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Errors say that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("it said:\n{}", self.log());
        }
    }
}
