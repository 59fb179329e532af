//! The demo as a process of its own, with a folder of its own: what a person has who runs `cargo demo`.

mod http;
mod parts;
mod process;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub use http::{Answer, Connection};
pub use parts::{Parts, cargo, command, program, workspace};
pub use process::Process;
pub use rustix::process::Signal;

use crate::Patched;

/// The candidate that the demo starts with.
pub const OLDER: &str = "logic.v1001.so";
/// The candidate that it is upgraded to.
pub const NEWER: &str = "logic.v1002.so";

/// A running demo. It ends when dropped.
#[derive(Debug)]
pub struct Demo {
    /// Dropped first: it uses the folder.
    process: Process,
    address: SocketAddr,
    folder: PathBuf,
    _temporary: TempDir,
}

impl Demo {
    /// By `cargo demo`, which builds what is missing.
    pub fn launch() -> Self {
        let temporary = temporary();
        let mut command = cargo();
        command.args(["demo", "--"]);
        Self::run(command, temporary)
    }

    /// The same server in the same layout, without asking cargo again.
    pub fn start() -> Self {
        let demo = Self::start_with(&[OLDER]);
        assert_eq!(demo.active(), "1001");
        demo
    }

    /// With other candidates in its watched folder from the start.
    pub fn start_with(modules: &[&str]) -> Self {
        let parts = Parts::get();
        let temporary = temporary();
        let (from, to) = (temporary.path().join("candidates"), temporary.path().join("modules"));
        parts.lay_out(&from).expect("a temporary folder can be written");
        fs::create_dir(&to).expect("a temporary folder can be written");
        for name in modules {
            fs::copy(from.join(name), to.join(name)).expect("a candidate can be copied");
        }
        Self::run(Command::new(&parts.server), temporary)
    }

    /// Ends it and has `cargo demo` start it again in the same folder.
    pub fn relaunch(&mut self) {
        self.end(Signal::INT);
        let mut command = cargo();
        command.args(["demo", "--"]);
        self.begin(command);
    }

    /// Ends it and starts the same server again in the same folder.
    pub fn restart(&mut self) {
        self.end(Signal::TERM);
        self.begin(Command::new(&Parts::get().server));
    }

    fn run(command: Command, temporary: TempDir) -> Self {
        let folder = temporary.path().canonicalize().expect("it exists");
        let (process, address) = serve(command, &folder);
        Self { process, address, folder, _temporary: temporary }
    }

    fn begin(&mut self, command: Command) {
        (self.process, self.address) = serve(command, &self.folder);
    }

    /// The program that serves.
    fn program(&self) -> PathBuf {
        fs::read_link(format!("/proc/{}/exe", self.process.id().as_raw_nonzero())).expect("it runs")
    }

    /// A new connection to the server.
    pub fn connect(&self) -> Connection {
        Connection::to_port(self.address)
    }

    /// A new connection to the engine's admin socket.
    pub fn connect_admin(&self) -> Connection {
        Connection::to_socket(&self.socket())
    }

    /// Asks over a connection that is used once.
    pub fn get(&self, target: &str) -> Answer {
        self.connect().get(target)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The admin socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("admin.sock")
    }

    /// A file that `/load` may name.
    pub fn candidate(&self, name: &str) -> PathBuf {
        self.folder.join("candidates").join(name)
    }

    /// A file in the watched folder.
    pub fn module(&self, name: &str) -> PathBuf {
        self.folder.join("modules").join(name)
    }

    /// Adds a candidate that is the newer one, but for the version that it states. Gives its name.
    pub fn add_candidate(&self, version: &str) -> String {
        Patched::of(self.candidate(NEWER)).version(version).write(&self.folder.join("candidates"), version);
        format!("logic.v{version}.so")
    }

    /// Copies a candidate into the watched folder, as `cp` does.
    pub fn copy_to_modules(&self, name: &str) {
        fs::copy(self.candidate(name), self.module(name)).expect("a candidate can be copied");
    }

    /// Runs the `liveswap` command on it.
    pub fn liveswap(&self, arguments: &[&str]) -> Output {
        let mut liveswap = Command::new(command());
        liveswap.env_remove("LIVESWAP_ADMIN").arg("--admin").arg(self.socket()).args(arguments);
        liveswap.output().expect("the command can be run")
    }

    /// The status of its one module, by the `liveswap` command.
    #[track_caller]
    pub fn status(&self) -> Value {
        let output = self.liveswap(&["status", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let mut status: Value = serde_json::from_slice(&output.stdout).expect("the status is JSON");
        status["modules"][0].take()
    }

    /// The version that calls enter; empty if there is none.
    #[track_caller]
    pub fn active(&self) -> String {
        self.status()["active"]["version"].as_str().unwrap_or_default().to_owned()
    }

    /// The versions in the slots, active first, and how many libraries the kernel says are mapped.
    #[track_caller]
    pub fn slots(&self) -> (String, String, usize) {
        let status = self.status();
        let version = |slot: &str| status[slot]["version"].as_str().unwrap_or_default().to_owned();
        (version("active"), version("standby"), self.mapped().len())
    }

    /// The state of the version that was retired last under this number; empty if there is none.
    #[track_caller]
    pub fn retired(&self, version: &str) -> Value {
        let status = self.status();
        let retired = status["retired"].as_array().expect("it is a list");
        retired.iter().rfind(|entry| entry["version"] == version).cloned().unwrap_or_default()
    }

    /// The private copies that are mapped into its process.
    pub fn mapped(&self) -> BTreeSet<PathBuf> {
        let maps = fs::read_to_string(format!("/proc/{}/maps", self.process.id().as_raw_nonzero()));
        let maps = maps.expect("the process lives");
        let paths = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
        paths.filter(|path| path.starts_with(self.folder.join("versions"))).collect()
    }

    /// The private copies that lie in its folder.
    pub fn copies(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.folder.join("versions")).expect("the folder is there");
        let paths = entries.map(|entry| entry.expect("its entries can be read").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "so")).collect()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// How often the log says so.
    pub fn logged(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Ends it by a signal, and checks that nothing stays behind.
    #[track_caller]
    pub fn ends_cleanly(mut self, signal: Signal) {
        self.end(signal);
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) {
        self.process.signal(signal);
        assert_eq!(self.process.rest_of_output(), "exited cleanly\n");
        let status = self.process.wait();
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        assert!(self.copies().is_empty(), "{:?}", self.copies());
        assert!(!self.socket().exists());
    }
}

fn serve(mut command: Command, folder: &Path) -> (Process, SocketAddr) {
    command.args(["--port", "0", "--dir"]).arg(folder);
    let mut process = Process::start(command);
    let line = process.line();
    let address = line.strip_prefix("ready http://").and_then(|address| address.parse().ok());
    let address = address.unwrap_or_else(|| panic!("unexpected line on standard output: {line}"));
    (process, address)
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}
