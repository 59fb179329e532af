//! The child's own beginning.
//!
//! It was started by a host, and will run code that nobody trusts yet. So it gives up first what it might have of the
//! host, and begins anew by executing itself: after that it has no descriptor but the standard ones, a session of its
//! own, no core dump, the bounds that the host has set, and it's killed when the host ends. Marking descriptors to be
//! closed at that moment takes nothing away from a program that uses them; closing them would.
//!
//! What it has to say goes to what was its standard output. Logic that prints gets standard error instead.

use std::env;
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::thread;

use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit, setsid,
};

use super::VARIABLE;
use super::order::{Build, Message, ORDER, Order, Stage};
use crate::control;
use crate::lock::lock;

/// Carries out the rehearsal in this folder, which a host has laid out for this process; what the `liveswap` command
/// does for `rehearse FOLDER`. To be called first in `main`: this process executes itself once more, with the same
/// arguments.
///
/// For a host's own program, see [`Rehearsal::program`](super::Rehearsal::program). It returns how the process is to
/// end, and is not for anything else.
pub fn run(folder: impl AsRef<Path>) -> ExitCode {
    let folder = folder.as_ref();
    let outcome = read_order(folder).and_then(|order| {
        if env::var_os(VARIABLE).is_none() { Err(begin_anew(&order)) } else { rehearse(folder, order) }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can't rehearse in {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn read_order(folder: &Path) -> io::Result<Order> {
    Ok(serde_json::from_slice(&fs::read(folder.join(ORDER))?)?)
}

/// Returns only if it can't.
fn begin_anew(order: &Order) -> io::Error {
    match confine(order) {
        Ok(()) => Command::new("/proc/self/exe").args(env::args_os().skip(1)).env(VARIABLE, "1").exec(),
        Err(error) => error,
    }
}

fn confine(order: &Order) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before.
    if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(order.parent) {
        return Err(io::Error::other("the host that has asked for it has ended"));
    }
    // An error says that it leads a group already, which will do: the host ends the group.
    let _ = setsid();
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Core, limit(0))?;
    if let Some(bytes) = order.memory_max {
        setrlimit(Resource::As, limit(bytes))?;
    }
    if let Some(seconds) = order.processor_max_s {
        setrlimit(Resource::Cpu, limit(seconds))?;
    }
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<c_int>().ok());
        for number in number.into_iter().filter(|number| *number > libc::STDERR_FILENO) {
            // SAFETY: a plain call on a number, without pointers. It takes nothing away from whoever has the
            // descriptor: it's closed when this program ends, or begins anew.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

fn rehearse(folder: &Path, order: Order) -> io::Result<()> {
    let report = rustix::io::fcntl_dupfd_cloexec(io::stdout(), libc::STDERR_FILENO + 1)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    let speaker = Speaker(Mutex::new(File::from(report)));
    speaker.say(&Message::Hello(Build::own()));
    let folder = folder.to_owned();
    // With the stack that the threads have that call logic elsewhere.
    let rehearsal = thread::Builder::new().name("liveswap-control".into()).spawn(move || {
        let outcome = control::rehearse(&folder, &order, &speaker);
        speaker.say(&outcome);
    })?;
    rehearsal.join().map_err(|_| io::Error::other("the rehearsal itself has panicked"))
}

/// Tells the host what is going on.
pub(crate) struct Speaker(Mutex<File>);

impl Speaker {
    /// Says what is about to be done.
    pub(crate) fn begin(&self, stage: &Stage) {
        self.say(&Message::Stage(stage.clone()));
    }

    fn say(&self, message: &Message) {
        let mut line = serde_json::to_vec(message).expect("it has only texts and numbers");
        line.push(b'\n');
        // An error says that the host has gone, and then this process is about to.
        let _ = lock(&self.0).write_all(&line);
    }
}
