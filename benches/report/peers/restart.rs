//! A restart: the process leaves a snapshot of its state, and the next one begins with it. It's what one does without
//! any of this, so both sides are as fast as liveswap's snapshots make them.
//!
//! The process that is restarted is this program, with other arguments. It answers on its standard output whatever line
//! it reads on its standard input, by a call into the module; when there are no more, it ends.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use fixture_api::world::Realm;
use liveswap::Engine;
use liveswap_tests::host::MODULE;
use liveswap_tests::world;

use super::{Measured, Peer};
use crate::figure::{Figure, NotRun};
use crate::measure::median;
use crate::options::Options;

const NAME: &str = "a restart with a snapshot";

pub(crate) static PEER: Peer = Peer::new(measure);

/// How many entities the world has, and how often the process is restarted: quickly, and thoroughly.
const WORLDS: [(u64, usize, usize); 3] = [(10_000, 5, 15), (100_000, 3, 9), (1_000_000, 2, 5)];

/// What the process that is restarted serves.
#[derive(Debug, clap::Args)]
pub(crate) struct Served {
    /// The version. With this, the program measures nothing.
    #[arg(long = "serve", value_name = "CANDIDATE", hide = true, required = false)]
    candidate: PathBuf,
    /// Where its snapshots are.
    #[arg(long, hide = true, required = false, requires = "candidate")]
    snapshots: PathBuf,
    /// How many entities it begins with if there is no snapshot.
    #[arg(long, hide = true, required = false, requires = "candidate")]
    entities: u64,
}

/// Serves until there are no more calls.
pub(crate) fn serve(served: &Served) {
    let engine = Engine::builder().module::<dyn Realm>(MODULE).snapshots(&served.snapshots).build();
    let engine = engine.expect("the engine starts");
    engine.push(served.candidate.clone()).expect("the version loads");
    let realm = engine.module::<dyn Realm>(MODULE).expect("it was declared");
    let last = served.entities - 1;
    if realm.call(|realm| realm.look(last)).expect("it answers").is_none() {
        realm.call(|realm| realm.fill(0, served.entities)).expect("it answers");
    }
    let mut answers = io::stdout();
    for asked in io::stdin().lock().lines() {
        let id = asked.expect("what is asked can be read").parse().expect("it's a number");
        let learned = realm.call(|realm| realm.train(id, 1)).expect("it answers").expect("it's there");
        writeln!(answers, "{learned}").expect("somebody reads the answer");
    }
}

fn measure(options: &Options) -> Result<Measured, NotRun> {
    let candidate = world::fixture(1).optimized().build();
    let (mut figures, mut pauses) = (Vec::new(), Vec::new());
    for (entities, quick, full) in WORLDS {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut process = Process::start(&candidate, folder.path(), entities);
        assert_eq!(process.ask(entities - 1), 1);
        // The page cache holds the snapshot then, as it does for each later restart.
        let mut times = Vec::new();
        for restart in 0..options.either(quick, full) {
            let started = Instant::now();
            process.end();
            process = Process::start(&candidate, folder.path(), entities);
            let learned = process.ask(entities - 1);
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            assert_eq!(learned, restart as u64 + 2, "the state was lost");
        }
        process.end();
        let took = median(times);
        pauses.push((entities as f64, took * 1000.0));
        figures.push(Figure::new(format!("{NAME}, {entities} entities"), took, "ms"));
    }
    Ok(Measured { version: env!("CARGO_PKG_VERSION").to_owned(), figures, pauses })
}

/// A process that serves.
struct Process {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(candidate: &Path, snapshots: &Path, entities: u64) -> Self {
        let program = std::env::current_exe().expect("Linux tells a process its program");
        let mut command = Command::new(program);
        command.arg("--serve").arg(candidate).arg("--snapshots").arg(snapshots);
        command.arg("--entities").arg(entities.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program can be started again");
        let asks = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Self { child, asks, answers }
    }

    fn ask(&mut self, id: u64) -> u64 {
        writeln!(self.asks, "{id}").expect("the process reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the process answers");
        answer.trim().parse().expect("it's a number")
    }

    /// Returns when it has ended, and with that, left its snapshot.
    fn end(self) {
        let Self { mut child, asks, .. } = self;
        drop(asks);
        assert!(child.wait().expect("it is ours").success(), "it didn't end well");
    }
}
