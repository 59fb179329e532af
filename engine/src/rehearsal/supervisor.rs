//! The supervisor: starts the child, listens to it, and ends it.
//!
//! A fork of a process with threads may not load libraries, so the child is a program of its own. It's believed in
//! nothing: what it says is bounded, each of its steps has a deadline and all of them together have one, and at the
//! end, however that came, it's killed with its process group, and waited for, before anything else happens; what it has
//! started and what has left that group lives on. The child gets
//! nothing of this process but the folder: an environment with three variables, no input, and pipes to say something.
//!
//! If it crashes or hangs in a call of the *active* version, that is no fault of the candidate's: such a call waits for
//! something that only the host has. It begins once more without that method then.

use std::collections::VecDeque;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, kill_process_group, waitid,
};

use super::Rehearsal;
use super::order::{Build, Doing, Message, ORDER, Order, Passed, Side, Stage};
use super::report::{NotCompared, RehearsalError};

/// What of the environment the child gets: what the loader and a shell's `PATH` lead to must be the same for both.
const INHERITED: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];

/// How often it's looked whether the child has ended or the engine does.
const TICK: Duration = Duration::from_millis(20);

/// No line that the child says is longer, in bytes.
const LINE_MAX: usize = 1024 * 1024;

/// How much is kept of what it writes to standard error, in bytes.
const SAID_MAX: usize = 1024;

/// How many methods may be left out because the active version doesn't bear them.
const EXCLUDED_MAX: usize = 8;

/// Has the order carried out that is made for this folder, until then at most. None if the engine ends meanwhile, as `has_ended` says.
pub(crate) fn supervise(
    rehearsal: &Rehearsal,
    folder: &Path,
    mut order: Order,
    until: Instant,
    has_ended: impl Fn() -> bool,
) -> Result<Option<Passed>, RehearsalError> {
    let program = find_program(rehearsal)?;
    let mut watch = Watch { until, step: rehearsal.deadline / 3, has_ended };
    let mut left_out = Vec::new();
    loop {
        write_order(folder, &order)?;
        let mut process = Process::start(&program, folder)?;
        let end = watch.listen(&mut process)?;
        // Ended and waited for, whatever it was about.
        drop(process);
        if let End::Stopped = end {
            return Ok(None);
        }
        match end.not_borne() {
            Some(not_borne) if left_out.len() < EXCLUDED_MAX && Instant::now() < watch.until => {
                order.excluded.push(not_borne.method.clone());
                left_out.push(not_borne);
            }
            _ => {
                return end.judge(&program).map(|mut passed| {
                    passed.not_compared.append(&mut left_out);
                    Some(passed)
                });
            }
        }
    }
}

fn write_order(folder: &Path, order: &Order) -> Result<(), RehearsalError> {
    let path = folder.join(ORDER);
    let what = format!("write {}", path.display());
    let bytes = serde_json::to_vec(order).map_err(|error| RehearsalError::system(&what)(error.into()))?;
    fs::write(&path, bytes).map_err(RehearsalError::system(what))
}

/// The program that the host has named; or the command beside its own program, or in `PATH`.
fn find_program(rehearsal: &Rehearsal) -> Result<PathBuf, RehearsalError> {
    const NAME: &str = "liveswap";
    if let Some(named) = &rehearsal.program {
        return Ok(named.clone());
    }
    let own = env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = own.into_iter().chain(env::split_paths(&path)).collect();
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    folders.iter().map(|folder| folder.join(NAME)).find(is_program).ok_or_else(|| RehearsalError::NoProgram {
        looked_for: format!("`{NAME}` beside the host's program and in PATH"),
    })
}

/// How a child ended, or was ended.
enum End {
    /// The engine ends.
    Stopped,
    /// It has said how the rehearsal ended.
    Said(Message),
    /// It ended without that.
    Died { stage: Option<Stage>, how: String, said: String },
    /// It didn't get on.
    Hung { stage: Option<Stage>, waited_ms: u64, said: String },
}

impl End {
    /// The method that the active version doesn't bear to be called outside of the host, if that was it.
    fn not_borne(&self) -> Option<NotCompared> {
        let (stage, why) = match self {
            Self::Died { stage, how, .. } => (stage, format!("the active version ends by {how} in it")),
            Self::Hung { stage, .. } => (stage, "the active version hangs in it".to_owned()),
            Self::Stopped | Self::Said(_) => return None,
        };
        match stage {
            Some(Stage { side: Side::Running, doing: Doing::Replay { method } }) => {
                Some(NotCompared::new(method, why))
            }
            _ => None,
        }
    }

    fn judge(self, program: &Path) -> Result<Passed, RehearsalError> {
        let program = program.to_owned();
        match self {
            Self::Said(Message::Passed(passed)) => Ok(passed),
            Self::Said(Message::Failed { stage, reason }) => Err(RehearsalError::failed(&stage, reason)),
            Self::Said(Message::Disagreed { method, arguments, found, expected }) => {
                Err(RehearsalError::Disagreed { method, arguments, found, expected })
            }
            Self::Said(Message::Hello(_) | Message::Stage(_)) | Self::Stopped => {
                unreachable!("neither ends a rehearsal")
            }
            // It hasn't even begun.
            Self::Died { stage: None, how, said } => {
                Err(RehearsalError::NotAProgram { program, reason: format!("it ended by {how}: {said}") })
            }
            Self::Hung { stage: None, waited_ms, said } => {
                let reason = format!("it did nothing within {waited_ms} ms: {said}");
                Err(RehearsalError::NotAProgram { program, reason })
            }
            Self::Died { stage: Some(stage), how, said } if stage.is_of_candidate() => {
                Err(RehearsalError::Crashed { how, doing: stage.to_string(), said })
            }
            Self::Hung { stage: Some(stage), waited_ms, said } if stage.is_of_candidate() => {
                Err(RehearsalError::Hung { doing: stage.to_string(), waited_ms, said })
            }
            Self::Died { stage: Some(stage), how, said } => {
                Err(RehearsalError::failed(&stage, format!("its process ended by {how}: {said}")))
            }
            Self::Hung { stage: Some(stage), waited_ms, said } => {
                Err(RehearsalError::failed(&stage, format!("nothing happened within {waited_ms} ms: {said}")))
            }
        }
    }
}

/// Until when the child may do what.
struct Watch<F> {
    until: Instant,
    step: Duration,
    has_ended: F,
}

impl<F: Fn() -> bool> Watch<F> {
    /// Listens until it's clear how the child ended, or that it has to.
    fn listen(&mut self, process: &mut Process) -> Result<End, RehearsalError> {
        let (mut stage, mut since) = (None, Instant::now());
        loop {
            let (now, until) = (Instant::now(), self.until.min(since + self.step));
            if (self.has_ended)() {
                return Ok(End::Stopped);
            }
            if now >= until {
                let waited_ms = u64::try_from((now - since).as_millis()).unwrap_or(u64::MAX);
                return Ok(End::Hung { stage, waited_ms, said: process.said() });
            }
            let exited = process.exited();
            // What it has said before its end is there by now.
            let timeout = if exited.is_some() { Duration::ZERO } else { TICK.min(until - now) };
            let is_silent =
                !process.read(timeout).map_err(RehearsalError::system("listen to the rehearsal"))?;
            while let Some(line) = process.line() {
                since = Instant::now();
                match serde_json::from_slice(&line) {
                    Ok(Message::Hello(found)) => {
                        let (program, expected) = (process.program.clone(), Build::own());
                        if found != expected {
                            let (found, expected) = (found.to_string(), expected.to_string());
                            return Err(RehearsalError::OtherBuild { program, found, expected });
                        }
                    }
                    Ok(Message::Stage(next)) => stage = Some(next),
                    Ok(last) => return Ok(End::Said(last)),
                    Err(_) => {
                        let how = "saying what no rehearsal says".to_owned();
                        return Ok(End::Died { stage, how, said: process.said() });
                    }
                }
            }
            if process.heard.len() > LINE_MAX {
                let how = "saying too much".to_owned();
                return Ok(End::Died { stage, how, said: process.said() });
            }
            if let Some(how) = exited.filter(|_| is_silent) {
                return Ok(End::Died { stage, how, said: process.said() });
            }
        }
    }
}

fn describe(status: &WaitIdStatus) -> String {
    let Some(number) = status.terminating_signal() else {
        return format!("exit code {}", status.exit_status().unwrap_or_default());
    };
    let known = [
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGSYS, "SIGSYS"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
    ];
    let known = known.iter().find(|(known, _)| *known == number);
    known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}

/// A child. Dropping it kills it with all of its process group, and waits for it.
struct Process {
    program: PathBuf,
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// What of its words isn't a whole line yet.
    heard: Vec<u8>,
    /// The last that it has written to standard error.
    said: VecDeque<u8>,
    /// The host itself waits for every child that it has: this one's number may be another process's.
    is_waited_for: bool,
}

impl Process {
    fn start(program: &Path, folder: &Path) -> Result<Self, RehearsalError> {
        let inherited = INHERITED.iter().filter_map(|name| Some((name, env::var_os(name)?)));
        let mut command = Command::new(program);
        command.arg("rehearse").arg(folder).env_clear().envs(inherited).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                RehearsalError::NoProgram { looked_for: program.display().to_string() }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ExecutableFileBusy => {
                RehearsalError::NotAProgram { program: program.to_owned(), reason: error.to_string() }
            }
            _ => RehearsalError::system(format!("start {}", program.display()))(error),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Ok(Self {
            program: program.to_owned(),
            child,
            stdout,
            stderr,
            heard: Vec::new(),
            said: VecDeque::new(),
            is_waited_for: false,
        })
    }

    /// How it has ended, if so. It isn't waited for by this, so that its number stays its own.
    fn exited(&mut self) -> Option<String> {
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(Pid::from_child(&self.child)), how) {
            Ok(status) => status.map(|status| describe(&status)),
            Err(_) => {
                self.is_waited_for = true;
                Some("an end that something else in the host has waited for".to_owned())
            }
        }
    }

    /// Reads what there is, and waits for it up to a time. False if there was nothing.
    fn read(&mut self, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).expect("it's a tick at most");
        let mut ready = [false, false];
        {
            let (stdout, stderr) = (self.stdout.as_ref(), self.stderr.as_ref());
            let descriptors = [stdout.map(AsFd::as_fd), stderr.map(AsFd::as_fd)];
            let open = descriptors.into_iter().zip(&mut ready).filter_map(|(fd, ready)| Some((fd?, ready)));
            let (mut polled, flags): (Vec<_>, Vec<_>) =
                open.map(|(fd, ready)| (PollFd::from_borrowed_fd(fd, PollFlags::IN), ready)).unzip();
            match poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for (polled, ready) in polled.iter().zip(flags) {
                *ready = !polled.revents().is_empty();
            }
        }
        let mut buffer = [0; 8 * 1024];
        if ready[0]
            && let Some(pipe) = &mut self.stdout
        {
            match pipe.read(&mut buffer)? {
                0 => self.stdout = None,
                length => self.heard.extend_from_slice(&buffer[..length]),
            }
        }
        if ready[1]
            && let Some(pipe) = &mut self.stderr
        {
            match pipe.read(&mut buffer)? {
                0 => self.stderr = None,
                length => self.said.extend(&buffer[..length]),
            }
            let surplus = self.said.len().saturating_sub(SAID_MAX);
            self.said.drain(..surplus);
        }
        Ok(ready.contains(&true))
    }

    /// The next whole line of what it says.
    fn line(&mut self) -> Option<Vec<u8>> {
        let end = self.heard.iter().position(|byte| *byte == b'\n')?;
        let mut line: Vec<u8> = self.heard.drain(..=end).collect();
        line.pop();
        Some(line)
    }

    /// The last that it has written to standard error, in one line.
    fn said(&self) -> String {
        let said: Vec<u8> = self.said.iter().copied().collect();
        let text = String::from_utf8_lossy(&said);
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("; ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_waited_for {
            return;
        }
        let process = Pid::from_child(&self.child);
        // Errors say that there is nobody left; or that it doesn't have a session of its own yet, which the second one
        // is for.
        let _ = kill_process_group(process, Signal::KILL);
        let _ = kill_process(process, Signal::KILL);
        // It has been killed, so this takes no longer than the kernel does.
        let _ = self.child.wait();
    }
}

/// Makes a file in the folder that only its owner may look into.
pub(crate) fn create(folder: &Path, name: &str) -> Result<(PathBuf, File), RehearsalError> {
    let path = folder.join(name);
    let file =
        File::create_new(&path).map_err(RehearsalError::system(format!("create {}", path.display())))?;
    Ok((path, file))
}
